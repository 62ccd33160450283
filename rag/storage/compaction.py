"""Merging segments, dropping what no kept generation has, and sweeping files that no committed row names.

A merge reads immutable files and writes new ones; only its last step, one transaction, changes the database. So neither readers nor the
writer wait for it. Two locks keep it safe: the writer's, and one of its own, which the sweep needs too.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from threading import Lock, Thread
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from rag.errors import RagError
from rag.storage import segments, state
from rag.storage.files import TEMPORARY
from rag.storage.layout import COMPACT_LOCK
from rag.storage.locks import exclusive
from rag.storage.segments import MAX_ROWS, SegmentRow
from rag.storage.writer import record_segment

if TYPE_CHECKING:
    from rag.storage.collection import Collection

MANY = 8  # segments from which a merge is due
HISTORY = 100  # generations that stay readable once dead chunks outnumber the live ones
_DEAD_FROM = 20_000  # dead chunks below which nothing is dropped by itself


def due(rows: Sequence[SegmentRow], everything: bool = False) -> tuple[int, int]:
    """[start, stop) of the neighbouring segments to merge next; empty when none.

    From the newest backwards while each next one is at most twice the sum so far: sizes then fall at least by half from segment to
    segment, so their number stays logarithmic and every chunk is rewritten a logarithmic number of times (O'Neil et al. 1996, "The
    log-structured merge-tree").
    """
    best = (0, 0)
    stop = len(rows)
    while stop > 1:
        start, total = stop - 1, rows[stop - 1].rows
        while start and rows[start - 1].rows + total <= MAX_ROWS and (everything or rows[start - 1].rows <= 2 * total):
            start -= 1
            total += rows[start].rows
        if stop - start > max(1, best[1] - best[0]):
            best = (start, stop)
        stop = start if start < stop - 1 else stop - 1
    return best


class Worker:
    """Compacts in a thread of its own, one merge at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._thread: Thread | None = None
        self.failure: RagError | None = (
            None  # of the last run; shown by `verify`, never fatal: the data is whole without it
        )

    def start_if_due(self, collection: Collection) -> None:
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            if collection.database.value("SELECT count(*) FROM segments") < MANY:
                return
            self._thread = Thread(target=self._run, args=(collection,), name=f"compact {collection.name}")
            self._thread.start()

    def wait(self) -> None:
        """Until the run that is under way, if any, has ended."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self, collection: Collection) -> None:
        try:
            self.failure = None
            compact(collection)
        except RagError as e:
            self.failure = e


def compact(collection: Collection, keep: int | None = None, everything: bool = False) -> int:
    """Merges what is due, drops what `keep` allows; chunks dropped. Does nothing while another process compacts."""
    with exclusive(collection.folder / COMPACT_LOCK) as holder:
        if holder is not None:
            return 0
        if keep is None and _mostly_dead(collection):
            keep = HISTORY
        dropped = _forget(collection, keep) if keep is not None else 0
        while _merge_one(collection, everything):
            pass
        return dropped


def sweep(collection: Collection) -> int:
    """Removes files that no committed row names. Only for the holder of the writer's lock; skipped while a merge is under way."""
    with exclusive(collection.folder / COMPACT_LOCK) as holder:
        if holder is not None:
            return 0
        named = {name for (name,) in collection.database.rows("SELECT name FROM files")}
        garbage = [f for f in collection.segment_folder.iterdir() if f.name not in named]
        for file in garbage:
            with contextlib.suppress(OSError):  # it stays garbage, and the next writer tries again
                collection.disk.remove(file)
        # A backup holds the same lock, so a folder of one that is here was left by a process that died.
        for unfinished in collection.folder.glob(f"backup-*{TEMPORARY}"):
            shutil.rmtree(unfinished, ignore_errors=True)
        return len(garbage)


def _merge_one(collection: Collection, everything: bool) -> bool:
    """One merge; whether there was one to do."""
    db = collection.database
    rows = state.segment_rows(db)
    start, stop = due(rows, everything)
    if start == stop:
        return False
    sources = rows[start:stop]
    opened = collection.open_segments(sources)
    keep = [np.ones(len(s.ids), bool) for s in opened]
    merged = segments.merge(collection.disk, collection.segment_folder, uuid4().hex[:16], opened, keep)
    _swap(collection, sources, merged)
    return True


def _swap(collection: Collection, sources: Sequence[SegmentRow], merged: SegmentRow | None) -> None:
    """The commit: the merged segment in the place of its sources. Their files go afterwards; a crash leaves them to the sweep."""
    with collection.change():
        _replace(collection, sources, merged)
    _discard(collection, sources)


def _replace(collection: Collection, sources: Sequence[SegmentRow], merged: SegmentRow | None) -> None:
    db = collection.database
    for source in sources:
        db.run("DELETE FROM files WHERE segment = ?", (source.name,))
        db.run("DELETE FROM segments WHERE name = ?", (source.name,))
    if merged is not None:
        record_segment(db.run, merged)


def _discard(collection: Collection, sources: Sequence[SegmentRow]) -> None:
    for source in sources:
        for file in source.files:
            with contextlib.suppress(OSError):
                collection.disk.remove(collection.segment_folder / file.name)


def _mostly_dead(collection: Collection) -> bool:
    db = collection.database
    total = int(db.value("SELECT coalesce(sum(rows), 0) FROM segments"))
    alive = int(
        db.value(
            "SELECT coalesce(sum(v.chunks), 0) FROM lives l JOIN versions v ON v.version = l.version WHERE l.removed IS NULL"
        )
    )
    return total - alive > max(alive, _DEAD_FROM)


def _forget(collection: Collection, keep: int) -> int:
    """Makes generations older than the last `keep` unreadable and drops the chunks that only they had."""
    db = collection.database
    newest = int(db.value("SELECT max(generation) FROM generations"))
    oldest = max(newest - max(keep, 1) + 1, int(db.value("SELECT value FROM meta WHERE key = 'oldest'")))
    dead = {
        v
        for (v,) in db.rows(
            "SELECT version FROM versions WHERE version NOT IN (SELECT version FROM lives WHERE removed IS NULL OR removed > ?)",
            (oldest,),
        )
    }
    if not dead:
        return 0
    dropped = 0
    swaps: list[tuple[SegmentRow, SegmentRow | None]] = []
    for row in state.segment_rows(db):
        (opened,) = collection.open_segments((row,))
        kept = ~np.isin(opened.versions, np.fromiter(dead, np.int64, len(dead)))
        gone = int(np.count_nonzero(~kept))
        if gone:
            dropped += gone
            name = uuid4().hex[:16]
            merged = (
                segments.merge(collection.disk, collection.segment_folder, name, [opened], [kept])
                if kept.any()
                else None
            )
            swaps.append((row, merged))
    with collection.change():
        # A rollback that came in between may have revived some of them; then it is left for another time.
        revived = db.value(
            "SELECT count(*) FROM lives WHERE (removed IS NULL OR removed > ?) AND version IN"
            " (SELECT value FROM json_each(?))",
            (oldest, str(sorted(dead))),
        )
        if revived:
            return 0
        for source, merged in swaps:
            _replace(collection, [source], merged)
        db.run("UPDATE meta SET value = ? WHERE key = 'oldest'", (oldest,))
        listed = (str(sorted(dead)),)
        for table, column in (
            ("chunks", "version"),
            ("texts", "version"),
            ("lives", "version"),
            ("versions", "version"),
        ):
            db.run(f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))", listed)
        db.run("DELETE FROM token_codes WHERE content_hash NOT IN (SELECT content_hash FROM chunks)")
        db.run("DELETE FROM documents WHERE document NOT IN (SELECT document FROM versions)")
        db.run("DELETE FROM generations WHERE generation < ?", (oldest,))
    _discard(collection, [source for source, _ in swaps])
    return dropped
