"""The parse-quality ledger: which pages of a collection were read badly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ingest.tally import red_pages
from rag.types import PageReport
from rag.wiring import Services


def red_pages_below(paths: Sequence[Path], services: Services) -> list[PageReport]:
    """Every red page of the documents whose files lie at or below `paths`, in the order of their paths."""
    prefixes = [str(p.expanduser().resolve()) for p in paths]
    snapshot = services.collection().snapshot()
    found = []
    for info in sorted(snapshot.documents(None), key=lambda i: (i.root, i.path)):
        full = f"{info.root.rstrip('/')}/{info.path}"
        if any(full == p or full.startswith((p.rstrip("/") + "/", p + "!/")) for p in prefixes):
            found.extend(red_pages(snapshot.document(info.document)))
    return found
