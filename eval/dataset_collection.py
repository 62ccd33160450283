"""The collection of BEIR-style folders: indexed once, kept in the home under a name with the corpora's hash."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eval.datasets import corpus, corpus_file
from eval.pooling import BETWEEN
from rag.settings import Settings

if TYPE_CHECKING:
    from ingest.records import Record


def collection_of(dataset: Path, settings: Settings) -> str:
    """The name of the collection that holds the folder's corpus, indexed now when it is not there yet."""
    return pooled_collection([dataset], settings)


def pooled_collection(datasets: Sequence[Path], settings: Settings) -> str:
    """The name of the collection that holds the corpora of all these folders. With several, ids get the folder's name in front."""
    from ingest.file_records import READING
    from ingest.records import ingest_records
    from rag.retrieval.fields import CHUNKING
    from rag.wiring import Services

    digest = hashlib.sha256(f"{settings.fields} {CHUNKING} {READING}".encode())
    for folder in datasets:
        digest.update(corpus_file(folder).read_bytes())
    words = "-".join(folder.resolve().name for folder in datasets)
    name = f"eval-{''.join(c if c.isalnum() else '-' for c in words)[:40]}-{digest.hexdigest()[:10]}"
    with Services(settings.with_changes(collection=name)) as services:
        if services.home.exists(name) and services.collection().get_setting("complete"):
            return name
        sys.stderr.write(f"indexing {' + '.join(f.resolve().name for f in datasets)} into the collection {name}\n")
        services.collection(create=True)
        ingest_records(_records(datasets), services)
        services.collection().set_setting("complete", True)
    return name


def _records(datasets: Sequence[Path]) -> Iterator[Record]:
    from ingest.records import Record

    for folder in datasets:
        front = f"{folder.resolve().name}{BETWEEN}" if len(datasets) > 1 else ""
        for p in corpus(folder):
            yield Record(id=front + p.id, title=p.title, text=p.text)
