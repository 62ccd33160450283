"""Plain texts with ids -> documents, through the same cutting and embedding as files: what evaluation sets are made of."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ingest.batches import Batches
from ingest.documents import to_document
from ingest.file_records import FileRecords
from ingest.parsed import Limits, Skip, TextBuilder
from ingest.progress import Progress, Silent
from ingest.readers.markdown import add_markdown, is_markdown
from ingest.readers.text import add_paragraphs
from rag.types import FailedFile, IngestReport
from rag.wiring import Services

ROOT = "records"


@dataclass(frozen=True, slots=True)
class Record:
    """One text. Its id becomes the path of its document."""

    id: str
    title: str
    text: str
    heading: tuple[str, ...] = ()  # path, outermost first; context, not text
    page: int | None = None
    date: str | None = None


def ingest_records(
    records: Iterable[Record],
    services: Services,
    progress: Progress | None = None,
    groups: frozenset[str] = frozenset({"public"}),
) -> IngestReport:
    """Adds the texts to the collection of the settings; those it has already, unchanged, cost nothing. Texts that are empty are skipped."""
    started = time.monotonic()
    collection = services.collection(create=True)
    added: list[str] = []
    updated: list[str] = []
    skipped: list[FailedFile] = []
    unchanged = chunks = 0
    with collection.writer() as writer:
        known = {i.document: i.content_hash for i in collection.snapshot().documents(None)}
        batches = Batches(
            collection,
            writer,
            lambda: services.fields(collection.name),
            FileRecords(collection),
            progress or Silent(),
            versions=False,
        )
        for record in records:
            builder = TextBuilder(Limits())
            if record.page is not None:
                builder.page(record.page)
            for level, heading in enumerate(record.heading, 1):
                builder.heading(heading, level)
            text = record.text if record.text.strip() else record.title
            (add_markdown if is_markdown(text) else add_paragraphs)(builder, text)
            try:
                parsed = builder.build("record", record.title)
            except Skip as e:
                skipped.append(FailedFile(record.id, str(e)))
                continue
            # Without a title there is none: the id says nothing, and as context it would only blur the vectors.
            document = replace(to_document(parsed, ROOT, record.id, groups, record.date), title=record.title)
            if known.get(document.id) == document.content_hash:
                unchanged += 1
                continue
            (updated if document.id in known else added).append(record.id)
            chunks += batches.put(document)
            batches.commit_when_full()
        batches.finish()
        generation = collection.generation
    seconds = time.monotonic() - started
    return IngestReport(
        tuple(added),
        tuple(updated),
        unchanged,
        (),
        (),
        tuple(skipped),
        (),
        (),
        chunks,
        batches.embedded,
        seconds,
        generation,
    )
