"""Every write of the store goes through a `Disk`: written to a temporary name, fsynced, renamed, the folder fsynced.

One object, so that the fault harness can hand the store a disk that fails, tears, forgets or dies at any of these calls.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rag.errors import StorageFailed

TEMPORARY = ".tmp"  # suffix of a file that is not yet whole; any that is found is garbage
_BLOCK = 1 << 20

Bytes = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Written:
    """What was written, for the row that will name it."""

    name: str
    bytes: int
    sha256: str


class Disk:
    """The real one. Raises StorageFailed for what the system refuses."""

    def write_file(self, path: Path, parts: Iterable[Bytes]) -> Written:
        """Writes `path` whole or not at all. Its name is durable only after `sync_folder` of its parent."""
        temporary = path.with_name(path.name + TEMPORARY)
        digest = hashlib.sha256()
        size = 0
        with _refusals(path):
            fd = self.open(temporary)
            try:
                for part in parts:
                    view = memoryview(part).cast("B")
                    digest.update(view)
                    size += len(view)
                    while len(view):
                        view = view[self.write(fd, view[: 16 * _BLOCK]) :]
                self.sync(fd)
            finally:
                os.close(fd)
            self.rename(temporary, path)
        return Written(path.name, size, digest.hexdigest())

    def sync_folder(self, folder: Path) -> None:
        """Makes the names in `folder` durable."""
        with _refusals(folder):
            fd = os.open(folder, os.O_RDONLY)
            try:
                self.sync(fd)
            finally:
                os.close(fd)

    def make_folder(self, folder: Path) -> None:
        """Makes `folder` and its parents; harmless when it is there."""
        with _refusals(folder):
            missing = [f for f in (folder, *folder.parents) if not f.exists()]
            for each in reversed(missing):
                each.mkdir(exist_ok=True)
                self.sync_folder(each.parent)

    # The single calls, for a disk that misbehaves to override.
    def open(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def write(self, fd: int, data: memoryview) -> int:
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        os.fsync(fd)

    def rename(self, old: Path, new: Path) -> None:
        old.replace(new)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise StorageFailed(
            f"{path}: {e.strerror or e}; nothing after the last commit was kept, free or repair the disk and run again"
        ) from e
