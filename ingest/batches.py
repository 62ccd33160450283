"""Documents -> chunks -> vectors -> commits, a batch at a time; equal chunks are embedded once, known ones not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ingest.chunking import chunk
from ingest.file_records import FileRecord, FileRecords
from ingest.progress import Progress
from ingest.shelf import Shelf
from ingest.versions import Fingerprint, fingerprint, superseded
from rag.protocols import Vectors
from rag.types import Chunk, Document

if TYPE_CHECKING:
    from rag.retrieval.fields import Fields
    from rag.storage.collection import Collection
    from rag.storage.writer import Writer

_CHUNKS = 384  # in a batch: long enough to sort by length, short enough to lose little when killed
_SECONDS = 20.0  # between commits


class Batches:
    """Stages changes and commits them. Used by one thread, inside the collection's writer."""

    def __init__(
        self,
        collection: Collection,
        writer: Writer,
        fields: Callable[[], Fields],
        records: FileRecords,
        progress: Progress,
        *,
        versions: bool = True,
    ) -> None:
        """`versions` = mark which documents are newer versions or copies of others."""
        self._collection = collection
        self._writer = writer
        self._fields = fields
        self._records = records
        self._progress = progress
        self._prints = Shelf(collection, "ingest.prints") if versions else None
        self._documents: dict[str, tuple[Document, list[Chunk]]] = {}
        self._pending: list[FileRecord] = []
        self._forgotten: list[FileRecord] = []
        self._chunks = 0
        self._staged = False
        self._staged_ids: set[str] = set()  # put since the last commit
        self._touched = False  # something was committed, so the version marks have to be looked at
        self._last = time.monotonic()
        self.embedded = 0  # chunks

    def put(self, document: Document) -> int:
        """Adds or replaces a document; the number of its chunks."""
        chunks = chunk(document)
        self._documents[document.id] = (document, chunks)
        if self._prints is not None:
            self._prints.put(document.id, fingerprint(document).to_json())
        self._chunks += len(chunks)
        return len(chunks)

    def move(self, old: str, document: Document) -> None:
        """The document of id `old` under the new id and path, vectors reused."""
        self._writer.move(old, document)
        self._staged_ids.add(document.id)
        if self._prints is not None:
            self._prints.drop([old])
            self._prints.put(document.id, fingerprint(document).to_json())
        self._staged = True

    def remove(self, document: str) -> None:
        """Takes a document out."""
        self._writer.remove(document)
        if self._prints is not None:
            self._prints.drop([document])
        self._staged = True

    def regroup(self, document: str, groups: frozenset[str]) -> None:
        """Changes who may see a document."""
        self._writer.set_groups(document, groups)
        self._staged = True

    def remember(self, record: FileRecord) -> None:
        """Keeps the file's record with the next commit, and commits when the batch is full."""
        self._pending.append(record)
        self.commit_when_full()

    def commit_when_full(self) -> None:
        """Commits when the batch is full or old."""
        if self._chunks >= _CHUNKS or (self._chunks and time.monotonic() - self._last > _SECONDS):
            self._commit()

    def forget(self, record: FileRecord, documents: list[str]) -> None:
        """A file that is gone, and these documents with it."""
        for document in documents:
            self.remove(document)
        self._forgotten.append(record)

    def finish(self) -> None:
        """Commits the rest, with the marks of which document is a newer version of which."""
        changed = self._stage()
        if changed or self._staged or self._touched:
            self._mark_versions()
        self._commit_staged()

    def _commit(self) -> None:
        self._stage()
        self._commit_staged()

    def _stage(self) -> bool:
        """Embeds what is new and hands the batch to the writer."""
        if not self._documents:
            return False
        chunks = [c for _, cs in self._documents.values() for c in cs]
        vectors = self._vectors(chunks)
        at = 0
        for document, own in self._documents.values():
            self._writer.put(document, own, _for_document(vectors[at : at + len(own)]))
            self._staged_ids.add(document.id)
            at += len(own)
        self._documents.clear()
        self._chunks = 0
        self._staged = True
        return True

    def _vectors(self, chunks: list[Chunk]) -> list[dict[str, Vectors]]:
        """Field -> (dim,) vector for each chunk; only chunks of unknown content are embedded, each content once."""
        known = self._writer.known_vectors([c.content_hash for c in chunks])
        fresh: dict[str, Chunk] = {}
        for c in chunks:
            if c.content_hash not in known:
                fresh.setdefault(c.content_hash, c)
        if fresh:
            hashes = list(fresh)
            found = self._embed(list(fresh.values()))
            for field, (positions, rows) in found.items():
                for position, row in zip(positions, rows, strict=True):
                    known.setdefault(hashes[int(position)], {})[field] = row
            self.embedded += len(fresh)
        return [known.get(c.content_hash, {}) for c in chunks]

    def _embed(self, chunks: list[Chunk]) -> Mapping[str, tuple[NDArray[np.int64], Vectors]]:
        """The fields' vectors; progress is told in chunks, though each has a vector in several fields."""
        fields = self._fields()
        needed = max(1, fields.vectors_needed(chunks))
        made = told = 0
        self._progress.embedding(len(chunks))

        def count(vectors: int) -> None:
            nonlocal made, told
            made += vectors
            done = min(len(chunks), made * len(chunks) // needed)
            self._progress.chunks(done - told, len(chunks))
            told = done

        found = fields.embed(chunks, count, self._writer.put_codes)
        self._progress.chunks(len(chunks) - told, len(chunks))
        return found

    def _commit_staged(self) -> None:
        if self._staged:
            self._writer.commit("ingest")
            self._touched = True
        self._staged = False
        self._staged_ids.clear()
        for record in self._pending:
            self._records.put(record)
        self._records.drop(r.key for r in self._forgotten if r.key not in {p.key for p in self._pending})
        self._pending.clear()
        self._forgotten.clear()
        self._records.save()
        if self._prints is not None:
            self._prints.save()
        self._last = time.monotonic()

    def _mark_versions(self) -> None:
        """Sets and clears "superseded by" where the documents of this run changed who is newest. Staged ones count already."""
        if self._prints is None:
            return
        snapshot = self._collection.snapshot()
        infos = {i.document: i for i in snapshot.documents(None)}
        prints = [Fingerprint.from_json(row) for row in self._prints.rows.values()]
        staged = self._staged_ids
        alive = [
            p
            for p in prints
            if p.document in staged or (p.document in infos and infos[p.document].content_hash == p.content_hash)
        ]
        newest = superseded(alive)
        for p in alive:
            before = infos[p.document].superseded_by if p.document in infos and p.document not in staged else None
            if newest.get(p.document) != before:
                self._writer.supersede(p.document, newest.get(p.document))
                self._staged = True


def _for_document(vectors: list[dict[str, Vectors]]) -> dict[str, tuple[NDArray[np.int64], Vectors]]:
    """Chunk by chunk -> field by field, as the writer takes it."""
    fields = sorted({f for v in vectors for f in v})
    found = {}
    for field in fields:
        positions = np.array([i for i, v in enumerate(vectors) if field in v], np.int64)
        found[field] = (positions, np.stack([vectors[i][field] for i in positions]).astype(np.float32))
    return found
