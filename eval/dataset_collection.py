"""The collection of a BEIR-style folder: indexed once, kept in the home under a name with the corpus' hash."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import UsageError
from rag.settings import Settings

if TYPE_CHECKING:
    from ingest.records import Record


def collection_of(dataset: Path, settings: Settings) -> str:
    """The name of the collection that holds the folder's corpus, indexed now when it is not there yet."""
    from ingest.records import ingest_records

    from rag.wiring import Services

    file = next((f for f in (dataset / "corpus.jsonl", dataset / "corpus.jsonl.gz") if f.is_file()), None)
    if file is None:
        raise UsageError(
            f"{dataset}: no corpus.jsonl in it; a data set is a folder of corpus.jsonl, queries.jsonl and qrels.tsv"
        )
    digest = hashlib.sha256(file.read_bytes() + settings.fields.encode()).hexdigest()[:10]
    name = f"eval-{''.join(c if c.isalnum() else '-' for c in dataset.resolve().name)}-{digest}"
    with Services(settings.with_changes(collection=name)) as services:
        if services.home.exists(name) and services.collection().get_setting("complete"):
            return name
        sys.stderr.write(f"indexing {dataset.name} into the collection {name}\n")
        services.collection(create=True)
        ingest_records(_records(file), services)
        services.collection().set_setting("complete", True)
    return name


def _records(file: Path) -> Iterator[Record]:
    from ingest.records import Record

    raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    for line in raw.decode("utf-8").splitlines():
        if line.strip():
            r = json.loads(line)
            yield Record(id=str(r["id"]), title=str(r.get("title") or ""), text=str(r["text"]))
