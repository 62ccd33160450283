"""Damage to the files of a resting store: each must be found by `verify`, and no search may answer otherwise than before."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import RagError
from rag.storage.home import Home
from tests.crash.workload import NAME, Log, run
from tests.rag.storage.stores import DIM

UNCHECKED = ("-shm", "-wal", ".lock", ".log")
Answer = list[tuple[int, str]]


def corruptions(folder: Path, points: int, seed: int) -> dict[str, Any]:
    """`points` damages, each to a fresh copy."""
    rng = random.Random(seed)
    good, old, copy = folder / "good", folder / "old", folder / "copy"
    run(Home(good), Log(folder / "log"), seed, 12)
    shutil.copytree(good, old)
    run(Home(good), Log(folder / "log"), seed + 1, 12)
    expected = _answer(good)
    files = sorted(p for p in good.rglob("*") if p.is_file() and p.stat().st_size and not p.name.endswith(UNCHECKED))
    kinds = ["flip", "flip", "cut", "zero", "append", "swap", "outdated", "missing"]
    found: list[str] = []
    done = 0
    while done < points:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(good, copy)
        path = copy / rng.choice(files).relative_to(good)
        kind = rng.choice(kinds)
        if not _damage(kind, path, copy, old, files, good, rng):
            continue
        done += 1
        where = f"{kind} of {path.relative_to(copy)}"
        if not _verified(copy):
            found.append(f"{where}: not found by verify")
        try:
            if _answer(copy) != expected:
                found.append(f"{where}: answered wrongly")
        except RagError:
            pass
    return {"points": done, "files": len(files), "problems": found}


def _damage(kind: str, path: Path, copy: Path, old: Path, files: list[Path], good: Path, rng: random.Random) -> bool:
    """Damages the file; False when this damage would change nothing."""
    before = path.read_bytes()
    data = bytearray(before)
    if kind == "flip":
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del data[rng.randrange(len(data)) :]
    elif kind == "zero":
        at = rng.randrange(len(data))
        data[at : at + 512] = bytes(len(data[at : at + 512]))
    elif kind == "append":
        data += rng.randbytes(rng.choice([1, 100, 4096]))
    elif kind == "swap":
        other = copy / rng.choice(files).relative_to(good)
        data = bytearray(other.read_bytes())
        if data != before:
            other.write_bytes(before)
    elif kind == "outdated":
        source = old / path.relative_to(copy)
        data = bytearray(source.read_bytes()) if source.is_file() else data
    elif kind == "missing":
        path.unlink()
        return True
    if bytes(data) == before:
        return False
    path.write_bytes(bytes(data))
    return True


def _verified(folder: Path) -> bool:
    """Whether something was found to be wrong."""
    try:
        return bool(Home(folder).verify())
    except RagError:
        return True


def _answer(folder: Path) -> Answer:
    collection = Home(folder).open(NAME)
    try:
        snapshot = collection.snapshot()
        everything = snapshot.allowed(None)
        ids = [
            *snapshot.keyword(["valv", "ledger"], everything, 20).ids.tolist(),
            *snapshot.dense("toy", np.ones(DIM, np.float32), everything, 20).ids.tolist(),
        ]
        return [(c.id, c.text) for c in snapshot.chunks(ids)]
    finally:
        collection.close()
