"""Changes to a collection: staged in memory, made durable by one transaction, which is the commit."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from rag.errors import NotFound
from rag.index import postings
from rag.index.text import indexed_text
from rag.index.tokenization import tokenize
from rag.protocols import Vectors
from rag.storage import segments, state
from rag.storage.segments import SegmentRow
from rag.types import Chunk, Document

if TYPE_CHECKING:
    from rag.storage.collection import Collection

FieldVectors = Mapping[str, tuple[NDArray[np.int64], Vectors]]  # field -> which of the chunks, their vectors
_AT_ONCE = 500


@dataclass(frozen=True)
class _Put:
    document: Document
    chunks: tuple[Chunk, ...]
    vectors: FieldVectors


class Writer:
    """The one writer of a collection. Each `commit` makes one generation; what is staged and not committed is forgotten."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._db = collection.database
        self._puts: dict[str, _Put] = {}
        self._codes: dict[str, bytes] = {}
        self._removed: set[str] = set()
        self._groups: dict[str, frozenset[str]] = {}
        self._superseded: dict[str, str | None] = {}
        self._target: int | None = None
        self._open = True

    def put(self, document: Document, chunks: Sequence[Chunk], vectors: FieldVectors) -> None:
        """Adds the document, in the place of the one with its id. Raises ValueError for chunks or vectors that do not fit."""
        self._writable()
        _check(document, chunks)
        for field, (positions, rows) in vectors.items():
            dim = self._collection.card.field(field).dim
            if rows.shape != (len(positions), dim):
                raise ValueError(f"field {field}: vectors of shape {rows.shape} where ({len(positions)}, {dim}) belong")
            if len(positions) and (np.any(np.diff(positions) <= 0) or positions[0] < 0 or positions[-1] >= len(chunks)):
                raise ValueError(f"field {field}: positions must ascend within the {len(chunks)} chunks")
            if not np.isfinite(rows).all():
                raise ValueError(f"field {field}: a vector of {document.path} is not finite")
        self._puts[document.id] = _Put(document, tuple(chunks), dict(vectors))
        self._removed.discard(document.id)
        self._groups.pop(document.id, None)
        self._superseded.pop(document.id, None)

    def put_codes(self, content_hash: str, codes: bytes) -> None:
        """Token codes of the chunks with this content hash, kept with the next commit; those that are there already stay."""
        self._writable()
        self._codes[content_hash] = codes

    def remove(self, document: str) -> None:
        """Takes the document out of this and later generations. Raises NotFound."""
        self._known(document)
        self._puts.pop(document, None)
        self._removed.add(document)

    def set_groups(self, document: str, groups: frozenset[str]) -> None:
        """Who may see the document, in every generation, from the commit on. Raises NotFound."""
        self._known(document)
        self._groups[document] = frozenset(groups)

    def supersede(self, document: str, by: str | None) -> None:
        """Marks the document as replaced by a newer one; None takes the mark away. Raises NotFound."""
        self._known(document)
        self._superseded[document] = by

    def move(self, old: str, document: Document) -> None:
        """The document under a new id and path, its chunks and vectors reused. Its text must be the same. Raises NotFound."""
        self._known(old)
        snapshot = self._collection.snapshot()
        chunks = snapshot.document_chunks(old)
        ids = [c.id for c in chunks]
        vectors: dict[str, tuple[NDArray[np.int64], Vectors]] = {}
        for field in self._collection.card.names:
            rows = snapshot.vectors(field, ids)
            held = np.flatnonzero(~np.isnan(rows).any(axis=1)) if len(rows) else np.empty(0, np.int64)
            vectors[field] = (held, rows[held])
        moved = [replace(c, id=-1, document=document.id, title=document.title) for c in chunks]
        if old != document.id:
            self.remove(old)
        self.put(document, moved, vectors)

    def rollback(self, generation: int) -> None:
        """Stages that the next commit equals this generation, in the place of all that is staged. Raises NotFound."""
        self._writable()
        state.load(self._db, generation)
        self._forget()
        self._target = generation

    def known_vectors(self, hashes: Sequence[str]) -> dict[str, dict[str, Vectors]]:
        """Chunk content hash -> field -> (dim,), for those of `hashes` that an alive chunk has."""
        snapshot = self._collection.snapshot()
        ids: dict[str, int] = {}
        wanted = list(dict.fromkeys(h for h in hashes if h))
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            rows = self._db.rows(
                f"SELECT content_hash, id, version FROM chunks WHERE content_hash IN ({', '.join('?' * len(part))})",
                part,
            )
            ids |= {digest: chunk for digest, chunk, version in rows if snapshot.state.may_see(version, None)}
        found: dict[str, dict[str, Vectors]] = {digest: {} for digest in ids}
        for field in self._collection.card.names:
            vectors = snapshot.vectors(field, list(ids.values()))
            for digest, vector in zip(ids, vectors, strict=True):
                if not np.isnan(vector[0]):
                    found[digest][field] = vector
        return found

    def commit(self, note: str = "") -> int:
        """Makes what is staged durable and visible; the new generation, or the current one when nothing is staged.

        Raises StorageFailed; then nothing of it has happened, except where the message says otherwise.
        """
        self._writable()
        current = state.load(self._db)
        if not (self._puts or self._removed or self._groups or self._superseded or self._target is not None):
            return current.generation
        generation = current.generation + 1
        version = int(self._db.value("SELECT value FROM meta WHERE key = 'next_version'"))
        chunk = int(self._db.value("SELECT value FROM meta WHERE key = 'next_chunk'"))
        puts = list(self._puts.values())
        segment = self._write_segment(puts, version, chunk)
        # Should this fail, the segment is garbage that the next writer sweeps.
        with self._collection.change():
            self._record(puts, version, chunk, generation, segment)
            self._retire(generation, current)
            self._label(generation, note)
        self._forget()
        self._collection.after_commit()
        return generation

    def close(self) -> None:
        """Ends writing; what is staged is forgotten."""
        self._forget()
        self._open = False

    def _write_segment(self, puts: Sequence[_Put], version: int, first: int) -> SegmentRow | None:
        chunks = [c for p in puts for c in p.chunks]
        if not chunks:
            return None
        versions = np.repeat(np.arange(version, version + len(puts)), [len(p.chunks) for p in puts]).astype(np.int32)
        ids = np.arange(first, first + len(chunks), dtype=np.int64)
        lists = postings.build([tokenize(indexed_text(c)) for c in chunks])
        starts = np.cumsum([0, *(len(p.chunks) for p in puts)])
        fields: dict[str, tuple[NDArray[np.int32], Vectors]] = {}
        for field in self._collection.card.names:
            held = [
                (np.asarray(p.vectors[field][0], np.int64) + start, p.vectors[field][1])
                for p, start in zip(puts, starts, strict=False)
                if field in p.vectors and len(p.vectors[field][0])
            ]
            if held:
                fields[field] = (
                    np.concatenate([rows for rows, _ in held]).astype(np.int32),
                    np.concatenate([vectors for _, vectors in held]).astype(np.float32),
                )
        folder = self._collection.segment_folder
        return segments.write(self._collection.disk, folder, uuid4().hex[:16], ids, versions, lists, fields)

    def _record(
        self, puts: Sequence[_Put], version: int, chunk: int, generation: int, segment: SegmentRow | None
    ) -> None:
        """The rows of what was put: the old version of each document ends where the new one begins."""
        db = self._db
        for p in puts:
            d = p.document
            _end(db.run, d.id, generation)
            db.run(
                "INSERT INTO documents VALUES (?, ?, ?) ON CONFLICT (document) DO UPDATE SET groups = excluded.groups,"
                " superseded_by = excluded.superseded_by",
                (d.id, json.dumps(sorted(d.groups)), d.superseded_by),
            )
            db.run(
                "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    version,
                    d.id,
                    d.title,
                    d.path,
                    d.root,
                    d.content_hash,
                    d.language,
                    d.type,
                    d.date,
                    d.author,
                    len(p.chunks),
                ),
            )
            db.run(
                "INSERT INTO texts VALUES (?, ?, ?, ?)",
                (
                    version,
                    zlib.compress(d.text.encode("utf-8", "surrogatepass"), 3),
                    json.dumps([asdict(page) for page in d.pages]),
                    json.dumps([(b.kind, *b.span, b.level) for b in d.blocks]),
                ),
            )
            db.run("INSERT INTO lives VALUES (?, ?, NULL)", (version, generation))
            db.run_many(
                "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (chunk + i, version, *c.span, c.page, json.dumps(c.heading, ensure_ascii=False), c.language, *c.parent,
                     c.content_hash, c.text)
                    for i, c in enumerate(p.chunks)
                ],
            )  # fmt: skip
            version += 1
            chunk += len(p.chunks)
        # Only of what was put: codes of a document that another call took out again would never be dropped.
        put = {c.content_hash for p in puts for c in p.chunks}
        db.run_many(
            "INSERT OR IGNORE INTO token_codes VALUES (?, ?)", [(h, b) for h, b in self._codes.items() if h in put]
        )
        db.run("UPDATE meta SET value = ? WHERE key = 'next_version'", (version,))
        db.run("UPDATE meta SET value = ? WHERE key = 'next_chunk'", (chunk,))
        if segment is not None:
            record_segment(db.run, segment)

    def _retire(self, generation: int, current: state.State) -> None:
        db = self._db
        for document in sorted(self._removed):
            _end(db.run, document, generation)
        for document, groups in self._groups.items():
            db.run("UPDATE documents SET groups = ? WHERE document = ?", (json.dumps(sorted(groups)), document))
        for document, by in self._superseded.items():
            db.run("UPDATE documents SET superseded_by = ? WHERE document = ?", (by, document))
        if self._target is not None:
            oldest = int(db.value("SELECT value FROM meta WHERE key = 'oldest'"))
            state.check_generation(self._target, oldest, current.generation)
            wanted = set(_alive(self._collection, self._target))
            alive = set(_alive(self._collection, current.generation))
            db.run_many(
                "UPDATE lives SET removed = ? WHERE version = ? AND removed IS NULL",
                [(generation, v) for v in sorted(alive - wanted)],
            )
            db.run_many("INSERT INTO lives VALUES (?, ?, NULL)", [(v, generation) for v in sorted(wanted - alive)])

    def _label(self, generation: int, note: str) -> None:
        db = self._db
        documents, chunks = db.rows(
            "SELECT count(*), coalesce(sum(v.chunks), 0) FROM lives l JOIN versions v ON v.version = l.version"
            " WHERE l.removed IS NULL"
        )[0]
        db.run(
            "INSERT INTO generations VALUES (?, ?, ?, ?, ?)",
            (generation, datetime.now(UTC).isoformat(timespec="seconds"), note, documents, chunks),
        )

    def _known(self, document: str) -> None:
        self._writable()
        if document in self._puts:
            return
        alive = self._db.row(
            "SELECT 1 FROM versions v JOIN lives l ON l.version = v.version WHERE v.document = ? AND l.removed IS NULL",
            (document,),
        )
        if alive is None or document in self._removed:
            raise NotFound(f"document {document}: not in this collection; `rag documents list` shows what is")

    def _writable(self) -> None:
        if not self._open:
            raise RuntimeError("this writer is closed; open another one")

    def _forget(self) -> None:
        self._puts.clear()
        self._codes.clear()
        self._removed.clear()
        self._groups.clear()
        self._superseded.clear()
        self._target = None


def record_segment(run: Callable[..., int], segment: SegmentRow) -> None:
    """The rows that make a segment and its files part of the collection."""
    run("INSERT INTO segments VALUES (?, ?, ?)", (segment.name, segment.first, segment.rows))
    for f in segment.files:
        run("INSERT INTO files VALUES (?, ?, ?, ?, ?)", (f.name, segment.name, f.kind, f.bytes, f.sha256))


def _end(run: Callable[..., int], document: str, generation: int) -> None:
    run(
        "UPDATE lives SET removed = ? WHERE removed IS NULL AND version IN (SELECT version FROM versions WHERE document = ?)",
        (generation, document),
    )


def _alive(collection: Collection, generation: int) -> list[int]:
    return [
        v
        for (v,) in collection.database.rows(
            "SELECT version FROM lives WHERE added <= ? AND (removed IS NULL OR removed > ?)", (generation, generation)
        )
    ]


def _check(document: Document, chunks: Sequence[Chunk]) -> None:
    for c in chunks:
        start, end = c.span
        if document.text[start:end] != c.text:
            raise ValueError(f"{document.path}: chunk {start}..{end} is not that part of the document's text")
        if c.document != document.id:
            raise ValueError(f"{document.path}: a chunk belongs to document {c.document}, not {document.id}")
