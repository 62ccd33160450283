"""How well the pages of the hits were read, so that a citation from a bad page can say so."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock

from rag.storage.snapshot import DocumentInfo, Snapshot
from rag.types import Chunk

_KEPT = 256  # documents


class PageQuality:
    """Page number -> text score of the documents last asked for. Thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Mapping[int, float]] = OrderedDict()
        self._lock = Lock()

    def of(self, chunk: Chunk, info: DocumentInfo, snapshot: Snapshot) -> float:
        """0 (garbage) to 1 (clean) for the chunk's page; 1 for what has no pages."""
        if chunk.page is None:
            return 1.0
        key = (info.document, info.content_hash)
        with self._lock:
            scores = self._known.get(key)
        if scores is None:
            scores = {p.number: p.text_score for p in snapshot.document(info.document).pages}
            with self._lock:
                self._known[key] = scores
                while len(self._known) > _KEPT:
                    self._known.popitem(last=False)
        return scores.get(chunk.page, 1.0)
