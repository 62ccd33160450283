"""A disk and a file layer for SQLite that count every I/O call and, at a chosen one, die, fail, or lose power.

Losing power means that what was not yet fsynced is dropped or torn: data writes one by one, in any order, and the names of a folder from some
moment on (file systems keep the order of metadata). Then the process is killed.
"""

from __future__ import annotations

import errno
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import apsw

from rag.storage.files import Disk

Kind = Literal["none", "kill", "power", "ENOSPC", "EIO", "EACCES"]


@dataclass
class _Write:
    path: str
    offset: int
    old: bytes  # what lay there before
    size: int  # of the file before
    new: int  # bytes written


@dataclass
class Injector:
    """Counts calls; at number `at` (from 1) does `kind`. `seed` decides what a power cut loses."""

    kind: Kind = "none"
    at: int = 0
    seed: int = 0
    calls: int = 0
    fired: bool = False
    _writes: list[_Write] = field(default_factory=list)
    _names: list[tuple[str, Callable[[], None]]] = field(default_factory=list)  # folder, undo

    def call(self) -> None:
        """One I/O call is about to happen."""
        self.calls += 1
        if self.calls != self.at:
            return
        self.fired = True
        if self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == "power":
            self._lose_power()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind in ("ENOSPC", "EIO", "EACCES"):
            number = int(getattr(errno, self.kind))
            raise OSError(number, os.strerror(number))

    def wrote(self, path: str, offset: int, old: bytes, size: int, new: int) -> None:
        if self.kind == "power":
            self._writes.append(_Write(path, offset, old, size, new))

    def synced(self, path: str) -> None:
        """The data of a file, or the names of a folder, are durable now."""
        self._writes = [w for w in self._writes if w.path != path]
        self._names = [n for n in self._names if n[0] != path]

    def named(self, folder: str, undo: Callable[[], None]) -> None:
        if self.kind == "power":
            self._names.append((folder, undo))

    def renamed(self, old: str, new: str) -> None:
        for w in self._writes:
            if w.path == old:
                w.path = new
            elif w.path.startswith(old + "/"):
                w.path = new + w.path[len(old) :]

    def _lose_power(self) -> None:
        rng = random.Random(self.seed)
        share = rng.choice([0.0, 0.3, 0.7, 1.0])  # of the unsynced writes that reached the disk
        for w in reversed(self._writes):
            kept = 0
            if rng.random() < share:
                if rng.random() < 0.7:
                    continue
                kept = rng.randrange(0, w.new + 1, 512)  # torn between sectors
            try:
                fd = os.open(w.path, os.O_RDWR)
            except FileNotFoundError:
                continue
            os.pwrite(fd, w.old[kept:], w.offset + kept)
            if w.size < os.fstat(fd).st_size and w.size <= w.offset + kept:
                os.ftruncate(fd, max(w.size, w.offset + kept))
            os.close(fd)
        for folder in {f for f, _ in self._names}:
            undos = [undo for f, undo in self._names if f == folder]
            for undo in reversed(undos[rng.randint(0, len(undos)) :]):
                undo()


class FaultyDisk(Disk):
    """The store's disk with an injector in front of every call."""

    def __init__(self, injector: Injector) -> None:
        self._injector = injector

    def open(self, path: Path) -> int:
        self._injector.call()
        new = not path.exists()
        fd = super().open(path)
        if new:
            self._injector.named(str(path.parent), lambda: path.unlink(missing_ok=True))
        return fd

    def write(self, fd: int, data: memoryview) -> int:
        self._injector.call()
        path = _path_of(fd)
        size = os.fstat(fd).st_size
        offset = os.lseek(fd, 0, os.SEEK_CUR)
        written = super().write(fd, data[: max(1, len(data) // 2)])  # short writes happen; the store must go on
        self._injector.wrote(path, offset, b"\0" * written, size, written)
        return written

    def sync(self, fd: int) -> None:
        self._injector.call()
        super().sync(fd)
        self._injector.synced(_path_of(fd))

    def rename(self, old: Path, new: Path) -> None:
        self._injector.call()
        before = new.read_bytes() if new.is_file() else None
        super().rename(old, new)
        self._injector.renamed(str(old), str(new))

        def undo() -> None:
            if new.exists():
                new.replace(old)
            if before is not None:
                new.write_bytes(before)

        self._injector.named(str(new.parent), undo)

    def remove(self, path: Path) -> None:
        self._injector.call()
        before = path.read_bytes() if path.is_file() else b""
        super().remove(path)
        self._injector.named(str(path.parent), lambda: None if path.exists() else _restore(path, before))


def _path_of(fd: int) -> str:
    return str(Path(f"/proc/self/fd/{fd}").readlink())


def _restore(path: Path, data: bytes) -> None:
    if path.parent.is_dir():
        path.write_bytes(data)


class _File(apsw.VFSFile):
    def __init__(self, injector: Injector, name: Any, flags: Any) -> None:
        self._injector = injector
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else name
        super().__init__("unix", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:
        self._failing()
        size = self.xFileSize()
        there = max(0, min(len(data), size - offset))
        old = self.xRead(there, offset) if there else b""
        super().xWrite(data, offset)
        self._injector.wrote(self._path, offset, old + b"\0" * (len(data) - there), size, len(data))

    def xTruncate(self, size: int) -> None:
        self._failing()
        before = self.xFileSize()
        old = self.xRead(before - size, size) if before > size else b""
        super().xTruncate(size)
        self._injector.wrote(self._path, size, old, before, 0)

    def xSync(self, flags: int) -> None:
        self._failing()
        super().xSync(flags)
        # SQLite's unix layer fsyncs the folder too when the log is new.
        self._injector.synced(self._path)

    def _failing(self) -> None:
        _sqlite_error(self._injector)


class _Layer(apsw.VFS):
    def __init__(self, injector: Injector) -> None:
        self._injector = injector
        super().__init__("faulty", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: Any) -> Any:
        return _File(self._injector, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:
        _sqlite_error(self._injector)
        super().xDelete(name, sync)


def _sqlite_error(injector: Injector) -> None:
    try:
        injector.call()
    except OSError as e:
        if e.errno == errno.ENOSPC:
            raise apsw.FullError("injected") from e
        error = apsw.IOError("injected")
        error.result = apsw.SQLITE_IOERR
        error.extendedresult = apsw.SQLITE_IOERR_WRITE
        raise error from e


def install(injector: Injector) -> tuple[FaultyDisk, Any]:
    """The disk for a `Home`, and the SQLite file layer, which must be kept alive. Before anything opens a database: the checksum layer puts
    itself above whatever is the default then."""
    return FaultyDisk(injector), _Layer(injector)
