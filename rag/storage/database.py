"""SQLite that notices damage: every page carries a checksum that is verified whenever it is read.

The home of apsw. `cksumvfs`, SQLite's own extension, comes inside the apsw wheel. Journal is WAL with synchronous=FULL: a commit that has
returned survives a power cut. Errors of SQLite become the errors of `rag.errors`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any, Literal

import numpy as np

from rag.errors import Busy, CorruptCollection, StorageFailed

Params = Sequence[Any] | dict[str, Any]
_WAIT = 20_000  # milliseconds for another process's write to end
_PAGES = 2048  # checked at a time


class Database:
    """One SQLite file. Thread-safe: calls of several threads take turns."""

    def __init__(self, path: Path, connection: Any) -> None:
        self.path = path
        self._connection = connection
        self._lock = RLock()

    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock, _translated(self.path):
            return self._connection.execute(sql, params).fetchall()

    def row(self, sql: str, params: Params = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        with self._lock, _translated(self.path):
            return self._connection.execute(sql, params).fetchone()

    def value(self, sql: str, params: Params = ()) -> Any:
        """The first value of the first row, or None."""
        row = self.row(sql, params)
        return row[0] if row else None

    def records(self, sql: str, params: Params = ()) -> list[dict[str, Any]]:
        """All rows, each by column name."""
        with self._lock, _translated(self.path):
            cursor = self._connection.execute(sql, params)
            # A cursor that gave no row has no description any more; then there is nothing to name either.
            return [dict(zip((c[0] for c in cursor.description), row, strict=True)) for row in cursor]

    def run(self, sql: str, params: Params = ()) -> int:
        """Changes rows, in a transaction of its own unless one is open; how many."""
        with self._lock, _translated(self.path):
            self._connection.execute(sql, params)
            return int(self._connection.changes())

    def run_many(self, sql: str, params: Iterable[Params]) -> None:
        """The same change for many parameters."""
        with self._lock, _translated(self.path):
            self._connection.executemany(sql, params)

    def script(self, sql: str) -> None:
        """Several statements without parameters."""
        with self._lock, _translated(self.path):
            self._connection.execute(sql)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, durable when it returns. Not nested."""
        yield from self._between("BEGIN IMMEDIATE")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Every query inside sees the same state."""
        yield from self._between("BEGIN")

    def _between(self, begin: str) -> Iterator[None]:
        with self._lock:
            with _translated(self.path):
                self._connection.execute(begin)
            try:
                yield
                with _translated(self.path):
                    self._connection.execute("COMMIT")
            except BaseException:
                with _translated(self.path):
                    # A failed COMMIT may have rolled back by itself.
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                raise

    def checkpoint(self, mode: Literal["PASSIVE", "TRUNCATE"] = "TRUNCATE") -> None:
        """Moves the write-ahead log into the file; PASSIVE as far as that is possible without waiting for readers."""
        with self._lock, _translated(self.path):
            self._connection.pragma("wal_checkpoint", mode)

    def copy_to(self, path: Path) -> None:
        """A consistent copy, also while others write. Page by page: VACUUM INTO writes long values past the layer that adds the checksums."""
        with (
            connect(path) as copy,
            self._lock,
            _translated(path),
            copy._connection.backup("main", self._connection, "main") as pages,
        ):
            while not pages.done:
                pages.step(-1)

    def problems(self) -> list[str]:
        """What is wrong with the file: pages, free ones included, and SQLite's own integrity check. Empty when sound."""
        try:
            # After a power cut a page may be torn in the file and whole in the log, which SQLite reads first: fold the log in.
            self.checkpoint("PASSIVE")
        except (CorruptCollection, StorageFailed) as e:
            return page_problems(self.path) or [str(e)]
        found = page_problems(self.path)
        try:
            with self._lock, _translated(self.path):
                result = [str(r[0]) for r in self._connection.execute("PRAGMA integrity_check(10)")]
        except (CorruptCollection, StorageFailed) as e:
            return found or [str(e)]
        return found + [f"{self.path.name}: {line}" for line in result if line != "ok"]

    def close(self) -> None:
        """Closing twice is harmless. The last one to close a database folds its log into it."""
        with self._lock, _translated(self.path):
            self._connection.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(path: Path, *, create: bool = True) -> Database:
    """The database at `path`, made when it is not there unless `create` is False.

    Raises CorruptCollection for a file that is no checked SQLite database, StorageFailed when it cannot be opened.
    """
    apsw = _apsw()
    new = _size(path) == 0
    if new and not create:
        raise CorruptCollection(f"{path}: missing or empty; restore it from a backup")
    with _translated(path):
        connection = apsw.Connection(str(path), vfs="cksmvfs")
        try:
            connection.set_busy_timeout(_WAIT)
            if new:
                room = ctypes.c_int(8)  # bytes at the end of each page, where the checksum goes
                connection.file_control("main", apsw.SQLITE_FCNTL_RESERVE_BYTES, ctypes.addressof(room))
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "full")
            connection.pragma("foreign_keys", True)
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            checked = connection.pragma("checksum_verification")
        except BaseException:
            connection.close()
            raise
    if str(checked) != "1":
        connection.close()
        raise CorruptCollection(
            f"{path}: its pages carry no checksums, so it is not the file we wrote; restore a backup"
        )
    return Database(path, connection)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def page_problems(path: Path) -> list[str]:
    """Pages of the file whose checksum is wrong, read past SQLite, so that free pages are covered too."""
    for attempt in range(3):
        bad, reason = _bad_pages(path)
        # A page that another process was just writing is whole when read again.
        if not bad and not reason:
            return []
        if attempt == 2:
            break
    if reason:
        return [f"{path.name}: {reason}"]
    shown = ", ".join(str(p) for p in bad[:5]) + (", ..." if len(bad) > 5 else "")
    return [f"{path.name}: {len(bad)} damaged page(s): {shown}"]


def _bad_pages(path: Path) -> tuple[list[int], str]:
    with path.open("rb") as f:
        header = f.read(100)
        size = f.seek(0, 2)
        f.seek(0)
        if len(header) < 100 or header[:16] != b"SQLite format 3\0":
            return [], "not an SQLite database"
        page = int.from_bytes(header[16:18], "big") or 1
        page = 65536 if page == 1 else page
        if header[20] != 8:
            return [], "its pages carry no checksums"
        if size % page:
            return [], f"cut off: {size} bytes are no whole number of pages"
        wal = path.with_name(path.name + "-wal")
        if int.from_bytes(header[28:32], "big") > size // page and not (wal.exists() and wal.stat().st_size):
            return [], f"cut off: {size // page} of {int.from_bytes(header[28:32], 'big')} pages are there"
        bad: list[int] = []
        first = 1
        while block := f.read(page * _PAGES):
            words = np.frombuffer(block[: len(block) // page * page], "<u4").reshape(-1, page // 4)
            bad += [first + int(i) for i in np.flatnonzero(~_sound(words))]
            first += len(words)
    return bad, ""


def _sound(pages: np.ndarray[Any, np.dtype[np.uint32]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(n,) whether each page's last 8 bytes are the checksum of the rest, as in SQLite's ext/misc/cksumvfs.c."""
    s1 = np.zeros(len(pages), np.uint32)
    s2 = np.zeros(len(pages), np.uint32)
    columns = np.ascontiguousarray(pages.T)
    with np.errstate(over="ignore"):
        for i in range(0, len(columns) - 2, 2):
            s1 += columns[i] + s2
            s2 += columns[i + 1] + s1
    return (s1 == columns[-2]) & (s2 == columns[-1])


@cache
def _apsw() -> Any:
    import apsw
    import apsw.sqlite_extra

    # Loading registers the checksumming file layer for the whole process, above whatever layer is the default by then.
    loader = apsw.Connection(":memory:")
    try:
        apsw.sqlite_extra.load(loader, "cksumvfs")
    finally:
        loader.close()
    return apsw


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    apsw = _apsw()
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError) as e:
        raise CorruptCollection(f"{path}: damaged ({e}); restore the collection from a backup") from e
    except apsw.IOError as e:
        if e.extendedresult in (apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_CORRUPTFS):
            raise CorruptCollection(f"{path}: a page is damaged; restore the collection from a backup") from e
        raise StorageFailed(f"{path}: {e}; nothing after the last commit was kept, check the disk and run again") from e
    except (apsw.FullError, apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError) as e:
        raise StorageFailed(f"{path}: {e}; nothing after the last commit was kept, free the disk and run again") from e
    except (apsw.BusyError, apsw.LockedError, apsw.ProtocolError) as e:
        raise Busy(f"{path}: another process is writing to it; try again", retry_after=1.0) from e
