"""The second look at the best candidates: a cross-encoder by name, or the built-in reranker."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelUnavailable
from rag.index.text import indexed_text
from rag.retrieval.fields import Fields
from rag.retrieval.query import Query
from rag.settings import Settings
from rag.storage.snapshot import Snapshot
from rag.types import Chunk

CANDIDATES = 20  # that are looked at again


class Reranking(Protocol):
    """Scores the best candidates anew."""

    notes: tuple[str, ...]  # what the caller should know: "reranker X: no weights, the ranking is the fusion's"

    def scores(
        self, query: Query, chunks: Sequence[Chunk], fused: NDArray[np.float32], snapshot: Snapshot, fields: Fields
    ) -> NDArray[np.float32] | None:
        """(n,) new scores in deviations, higher is better; None leaves the ranking as it is."""
        ...


class NoReranking:
    """Leaves the fusion's ranking as it is."""

    notes: tuple[str, ...] = ()

    def scores(
        self, query: Query, chunks: Sequence[Chunk], fused: NDArray[np.float32], snapshot: Snapshot, fields: Fields
    ) -> NDArray[np.float32] | None:
        return None


class CrossEncoderReranking:
    """A cross-encoder by hub name or folder. Its weights are loaded at the first question; without them the fusion's ranking stays."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.notes: tuple[str, ...] = ()
        self._name = name
        self._settings = settings
        self._model: object | None = None
        self._lock = Lock()

    def scores(
        self, query: Query, chunks: Sequence[Chunk], fused: NDArray[np.float32], snapshot: Snapshot, fields: Fields
    ) -> NDArray[np.float32] | None:
        """The model's own scores."""
        from rag.retrieval.st_embedding import load_cross_encoder

        with self._lock:
            if self._model is None and not self.notes:
                try:
                    self._model = load_cross_encoder(self._name)
                except ModelUnavailable as e:
                    self.notes = (f"reranker {self._name}: no weights here, the ranking is the fusion's ({e})",)
        if self._model is None or not chunks:
            return None
        scores: NDArray[np.float32] = self._model.score(query.text, [indexed_text(c) for c in chunks])  # type: ignore[attr-defined]
        return np.asarray(scores, np.float32)


def open_reranking(settings: Settings) -> Reranking:
    """The reranker that the settings name. Loads nothing yet."""
    if settings.reranker in ("auto", "none"):
        return NoReranking()
    return CrossEncoderReranking(settings.reranker, settings)
