"""The second look at the best candidates: the built-in reranker, or a cross-encoder by name."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelUnavailable
from rag.index.text import indexed_text
from rag.retrieval.query import Query
from rag.retrieval.signals import Head, rescored
from rag.settings import Settings

CANDIDATES = 20  # that are looked at again


class Reranking(Protocol):
    """Scores the best candidates anew."""

    notes: tuple[str, ...]  # what the caller should know: "reranker X: no weights, the ranking is the fusion's"

    def scores(self, query: Query, head: Head) -> NDArray[np.float32] | None:
        """(n,) new scores, higher is better; None leaves the ranking as it is."""
        ...


class NoReranking:
    """Leaves the fusion's ranking as it is."""

    notes: tuple[str, ...] = ()

    def scores(self, query: Query, head: Head) -> NDArray[np.float32] | None:
        return None


class SignalReranking:
    """The built-in one: learned weights over cheap signals."""

    notes: tuple[str, ...] = ()

    def scores(self, query: Query, head: Head) -> NDArray[np.float32] | None:
        # One or two candidates have no spread to learn from.
        return rescored(head, query.language) if len(head.chunks) > 2 else None


class CrossEncoderReranking:
    """A cross-encoder by hub name or folder, loaded at the first question; without weights the fusion's ranking stays."""

    def __init__(self, name: str, load: Callable[[str], Any]) -> None:
        self.notes: tuple[str, ...] = ()
        self._name = name
        self._load = load
        self._model: Any = None
        self._lock = Lock()

    def scores(self, query: Query, head: Head) -> NDArray[np.float32] | None:
        """The model's own scores."""
        with self._lock:
            if self._model is None and not self.notes:
                try:
                    self._model = self._load(self._name)
                except ModelUnavailable as e:
                    self.notes = (f"reranker {self._name}: no weights here, the ranking is the fusion's ({e})",)
        if self._model is None or not head.chunks:
            return None
        return np.asarray(self._model.score(query.text, [indexed_text(c) for c in head.chunks]), np.float32)


def open_reranking(settings: Settings) -> Reranking:
    """The reranker that the settings name. Loads nothing yet."""
    if settings.reranker == "none":
        return NoReranking()
    if settings.reranker == "auto":
        return SignalReranking()

    def load(name: str) -> Any:
        from rag.retrieval.st_embedding import load_cross_encoder

        return load_cross_encoder(name, settings)

    return CrossEncoderReranking(settings.reranker, load)
