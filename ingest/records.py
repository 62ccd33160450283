"""Plain texts -> collection, with no files behind them: data sets, rows of a database. Cut and embedded like documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ingest.chunking import chunk
from ingest.documents import to_document
from ingest.parsed import Limits, TextBuilder
from ingest.readers.text import add_paragraphs
from rag.types import Chunk, Document

if TYPE_CHECKING:
    from rag.wiring import Services

ROOT = "records"  # Document.root of what has no folder
_CHUNKS = 512  # embedded and committed at once


@dataclass(frozen=True)
class Record:
    """A text and what is known of it. Its id becomes the document's path, so that hits can be told by it."""

    id: str
    title: str
    text: str
    heading: str = ""
    date: str | None = None
    groups: frozenset[str] = frozenset({"public"})


def ingest_records(records: Iterable[Record], services: Services, progress: Callable[[int], None] | None = None) -> int:
    """Adds or replaces the records in the collection of the settings; how many there were. Records without any text are left out.

    `progress` is told how many were stored since it was last told. Versions of one another are not looked for.
    """
    collection = services.collection(create=True)
    fields = services.fields()
    stored = 0
    with collection.writer() as writer:
        batch: list[tuple[Document, list[Chunk]]] = []

        def flush() -> None:
            chunks = [c for _, own in batch for c in own]
            vectors = fields.embed(chunks)
            at = 0
            for document, own in batch:
                mine = {}
                for field, (positions, rows) in vectors.items():
                    low, high = np.searchsorted(positions, [at, at + len(own)])
                    mine[field] = (positions[low:high] - at, rows[low:high])
                writer.put(document, own, mine)
                at += len(own)
            writer.commit("records")
            if progress is not None:
                progress(len(batch))
            batch.clear()

        for record in records:
            if not (record.text.strip() or record.title.strip()):
                continue
            document = _document(record)
            batch.append((document, chunk(document)))
            stored += 1
            if sum(len(own) for _, own in batch) >= _CHUNKS:
                flush()
        if batch:
            flush()
    return stored


def _document(record: Record) -> Document:
    builder = TextBuilder(Limits())
    if record.heading:
        builder.heading(record.heading, 1)
    add_paragraphs(builder, record.text if record.text.strip() else record.title)
    parsed = builder.build("text", record.title)
    return replace(to_document(parsed, ROOT, record.id, record.groups, record.date), title=record.title)
