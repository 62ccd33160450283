"""A collection: documents, their chunks and their searchable form, in generations. One writer, any number of readers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

from rag.errors import CollectionLocked, CollectionMismatch, CorruptCollection, NotFound, StorageFailed
from rag.index.tokenization import TOKENIZER
from rag.storage import compaction, sealed, state
from rag.storage.card import Card
from rag.storage.database import Database, connect
from rag.storage.files import Disk
from rag.storage.layout import COMMIT_LOCK, DATABASE, HEAD, SEGMENTS, WRITER_LOCK
from rag.storage.locks import exclusive, waiting
from rag.storage.migration import migrate
from rag.storage.segments import Segment, SegmentRow, open_segment
from rag.storage.snapshot import DocumentInfo, Snapshot
from rag.storage.verification import problems
from rag.storage.writer import Writer

_OLD_KEPT = 4  # snapshots of older generations kept open
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Generation:
    """A committed state."""

    generation: int
    time: str  # ISO 8601, UTC
    note: str
    documents: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed from one generation to another, by path."""

    added: tuple[DocumentInfo, ...]
    changed: tuple[DocumentInfo, ...]
    removed: tuple[DocumentInfo, ...]


class Collection:
    """An open collection. Thread-safe. `Home.open` makes it; close it when done."""

    def __init__(
        self, folder: Path, disk: Disk, *, exact_vectors: int, threads: int, any_tokenizer: bool = False
    ) -> None:
        """Raises CorruptCollection, CollectionMismatch, StorageFailed."""
        self.folder = folder
        self.name = folder.name
        self.disk = disk
        self.segment_folder = folder / SEGMENTS
        self._exact_vectors = exact_vectors
        self._threads = threads
        self._lock = RLock()
        self._segments: dict[str, Segment] = {}
        self._current: Snapshot | None = None
        self._old: dict[int, Snapshot] = {}
        self._worker = compaction.Worker()
        marked = _marked(folder)
        self._opened = _inode(folder)
        self.database = connect(folder / DATABASE, create=False)  # for the writer
        try:
            self._reading = connect(folder / DATABASE, create=False)  # its own connection: a commit blocks no reader
            counter = int(self._reading.value("SELECT value FROM meta WHERE key = 'counter'"))
            identity = self._reading.value("SELECT value FROM meta WHERE key = 'identity'")
            if identity != marked["identity"] or counter < int(marked["counter"]):
                raise CorruptCollection(
                    f"{folder}: the database is at commit {counter} of {identity}, but commit {marked['counter']} of"
                    f" {marked['identity']} was made; it is not the newest file, restore the collection from a backup"
                )
            migrate(self)
            self.card = self._checked_card(any_tokenizer)
        except BaseException:
            self.database.close()
            raise

    @property
    def replaced(self) -> bool:
        """Whether another collection took this one's place, or none did: what is open here is no longer what its name means."""
        return _inode(self.folder) != self._opened

    @property
    def generation(self) -> int:
        """The newest generation."""
        return self.snapshot().generation

    def snapshot(self, generation: int | None = None) -> Snapshot:
        """The newest generation, also when another process made it, or an older one. Cheap when nothing has changed.

        Raises NotFound for a generation that is not kept and for a collection that was removed meanwhile, CorruptCollection for damaged files.
        """
        with self._lock:
            if self.replaced:
                raise self._gone()
            current = self._current
            if current is None or current.state.stamp != state.stamp_of(self._reading):
                current = self._load(None)
                self._current = current
                self._old.clear()
            if generation is None or generation == current.generation:
                return current
            if generation not in self._old:
                while len(self._old) >= _OLD_KEPT:
                    del self._old[next(iter(self._old))]
                self._old[generation] = self._load(generation)
            return self._old[generation]

    @contextmanager
    def writer(self) -> Iterator[Writer]:
        """The one writer. Raises CollectionLocked when another process, or another thread, writes."""
        with exclusive(self.folder / WRITER_LOCK) as holder:
            if holder is not None:
                raise CollectionLocked(
                    f"collection {self.name}: process {holder or '(unknown)'} is writing to it; wait until it is done"
                )
            compaction.sweep(self)
            writer = Writer(self)
            try:
                yield writer
            finally:
                writer.close()

    def generations(self) -> list[Generation]:
        """The generations that can be read, oldest first."""
        rows = self._reading.rows(
            "SELECT generation, time, note, documents, chunks FROM generations"
            " WHERE generation >= (SELECT value FROM meta WHERE key = 'oldest') ORDER BY generation"
        )
        return [Generation(*r) for r in rows]

    def diff(self, first: int, second: int) -> Diff:
        """What happened between two generations. Raises NotFound."""
        old = {i.document: i for i in self.snapshot(first).documents()}
        new = {i.document: i for i in self.snapshot(second).documents()}
        return Diff(
            added=tuple(i for d, i in new.items() if d not in old),
            changed=tuple(i for d, i in new.items() if d in old and old[d].content_hash != i.content_hash),
            removed=tuple(i for d, i in old.items() if d not in new),
        )

    def rollback(self, generation: int) -> int:
        """Makes a new generation with the documents of an old one. Groups stay as they are. Raises NotFound."""
        with self.writer() as writer:
            writer.rollback(generation)
            return writer.commit(f"rollback to {generation}")

    def verify(self) -> list[str]:
        """Everything that is wrong with the collection's files and rows, one line each; empty when sound."""
        return problems(self.folder, self._reading, self.card)

    def segment_count(self) -> int:
        """Segments that a search looks through."""
        return len(self.snapshot().state.segments)

    def compact(self, keep: int | None = None) -> int:
        """Merges all segments that can be merged. With `keep`, only the last `keep` generations stay readable, and chunks that
        none of them has are dropped. Returns the chunks dropped. Blocks neither readers nor the writer."""
        self.wait()
        return compaction.compact(self, keep=keep, everything=True)

    def backup(self, file: Path) -> None:
        """Writes one file that `rag.storage.backup.restore` reads. Readers and the writer go on."""
        from rag.storage.backup import backup

        backup(self, file)

    def get_setting(self, key: str) -> Any:
        """What was stored under `key`, or None."""
        text = self._reading.value("SELECT value FROM settings WHERE key = ?", (key,))
        return None if text is None else json.loads(text)

    def set_setting(self, key: str, value: Any) -> None:
        """Stores a JSON value; None removes it."""
        self.set_settings({key: value})

    def set_settings(self, values: Mapping[str, Any]) -> None:
        """Stores several, all or none; None removes one."""
        with self.change():
            for key, value in values.items():
                if value is None:
                    self.database.run("DELETE FROM settings WHERE key = ?", (key,))
                else:
                    self.database.run(
                        "INSERT INTO settings VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                        (key, json.dumps(value, ensure_ascii=False)),
                    )

    @contextmanager
    def change(self) -> Iterator[None]:
        """One transaction, and then the note, outside the database, of how far it has come.

        The note is how a database that lost commits, or is an old copy, is noticed. It is never more than one commit behind.
        """
        with waiting(self.folder / COMMIT_LOCK):
            counter = self._counter()
            if _marked(self.folder)["counter"] < counter:  # a process died between its commit and its note
                self._mark(counter)
            with self.database.transaction():
                yield
                self.database.run("UPDATE meta SET value = value + 1 WHERE key = 'counter'")
            try:
                self._mark(counter + 1)
            except StorageFailed as e:
                raise StorageFailed(f"{e} (this last change itself is committed)") from e

    def after_commit(self) -> None:
        """Starts a background compaction when one is due."""
        self._worker.start_if_due(self)

    def wait(self) -> None:
        """Until a compaction that runs has ended."""
        self._worker.wait()

    def close(self) -> None:
        """Waits for a compaction that runs, and frees the files. Closing twice is harmless."""
        self.wait()
        with self._lock:
            self._current = None
            self._old.clear()
            self._segments.clear()
            self._reading.close()
            self.database.close()

    def open_segments(self, rows: tuple[SegmentRow, ...]) -> list[Segment]:
        """The segments, each verified when it is opened first."""
        with self._lock:
            for row in rows:
                if row.name not in self._segments:
                    self._segments[row.name] = open_segment(self.segment_folder, row)
            return [self._segments[row.name] for row in rows]

    def _counter(self) -> int:
        return int(self.database.value("SELECT value FROM meta WHERE key = 'counter'"))

    def _mark(self, counter: int) -> None:
        identity = self.database.value("SELECT value FROM meta WHERE key = 'identity'")
        sealed.write(self.disk, self.folder / HEAD, {"identity": identity, "counter": counter})

    def _load(self, generation: int | None) -> Snapshot:
        for attempt in range(_TRIES):
            found = state.load(self._reading, generation)
            try:
                opened = self.open_segments(found.segments)
            except CorruptCollection:
                if self.replaced:  # between that look and this one
                    raise self._gone() from None
                # A compaction may have replaced the files between the reading of their names and their opening.
                if attempt == _TRIES - 1 or state.segment_rows(self._reading) == found.segments:
                    raise
                continue
            if generation is None:
                named = {row.name for row in found.segments}
                self._segments = {name: s for name, s in self._segments.items() if name in named}
            return Snapshot(
                self._reading, self.card, found, opened, exact_vectors=self._exact_vectors, threads=self._threads
            )
        raise AssertionError("unreachable")

    def _gone(self) -> NotFound | CollectionMismatch:
        if not self.folder.is_dir():
            return NotFound(f"collection {self.name}: it was removed meanwhile; `rag collections list` shows what is")
        return CollectionMismatch(f"collection {self.name}: it was replaced meanwhile; open it again")

    def _checked_card(self, any_tokenizer: bool) -> Card:
        text = self._reading.value("SELECT value FROM meta WHERE key = 'card'")
        card = Card.from_json(text)
        if card.tokenizer != TOKENIZER and not any_tokenizer:
            raise CollectionMismatch(
                f"collection {self.name}: made with tokenizer {card.tokenizer!r}, this program has {TOKENIZER!r};"
                f" run `rag collections reembed {self.name}`"
            )
        return card


def threads_of(wanted: int) -> int:
    """Threads to search with: `wanted`, or one a core."""
    return wanted or max(1, len(os.sched_getaffinity(0)))


def _inode(folder: Path) -> int:
    try:
        return (folder / DATABASE).stat().st_ino
    except FileNotFoundError:
        return 0


def _marked(folder: Path) -> dict[str, Any]:
    try:
        return dict(sealed.read(folder / HEAD))
    except FileNotFoundError as e:
        raise CorruptCollection(f"{folder / HEAD}: missing; restore the collection from a backup") from e


def create(folder: Path, card: Card, disk: Disk, identity: str) -> None:
    """The files of an empty collection, at generation 0."""
    from rag.storage.schema import TABLES

    disk.make_folder(folder / SEGMENTS)
    db: Database
    with connect(folder / DATABASE) as db:
        with db.transaction():
            db.script(TABLES)
            facts = {
                "identity": identity,
                "card": card.to_json(),
                "counter": 0,
                "oldest": 0,
                "next_version": 1,
                "next_chunk": 0,
            }
            db.run_many("INSERT INTO meta VALUES (?, ?)", list(facts.items()))
            db.run("INSERT INTO generations VALUES (0, strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now'), 'created', 0, 0)")
        db.checkpoint()
    sealed.write(disk, folder / HEAD, {"identity": identity, "counter": 0})
    disk.sync_folder(folder)
