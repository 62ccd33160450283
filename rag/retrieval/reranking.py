"""The second look at the best candidates: the built-in reranker, or a cross-encoder by name."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelUnavailable
from rag.index.text import indexed_text
from rag.retrieval.fields import Fields
from rag.retrieval.late_interaction import LateInteraction
from rag.retrieval.query import Query
from rag.retrieval.signals import Head, on_scale_of, rescored, standard
from rag.settings import Settings

CANDIDATES = 20  # that are looked at again
FUSED_ACROSS = 0.1  # of the fused score beside late interaction across languages
LATE = {"en": 0.5}  # of late interaction beside the other signals within one language; Chinese loses by it


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
    """The built-in one: learned weights over cheap signals, and late interaction where question and passages differ in language.

    With `always`, late interaction also takes part where both are in one language that gains from it (`LATE`), at the price of
    embedding the candidates' words.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, late: LateInteraction | None = None, *, always: bool = False) -> None:
        self._late = late
        self._always = always

    def scores(self, query: Query, head: Head) -> NDArray[np.float32] | None:
        if len(head.chunks) <= 2:
            return None  # no spread to learn from
        if self._late is None:
            return rescored(head, query.language)
        if across_languages(query, head):
            # Fused scores say little here: BM25 finds names and numbers, and one vector blurs a translated question.
            words = standard(self._late.similarities(query.text, head.chunks))
            return on_scale_of(head.fused, words + FUSED_ACROSS * standard(head.fused))
        cheap = rescored(head, query.language)
        weight = LATE.get(query.language, 0.0) if self._always else 0.0
        if not weight:
            return cheap
        words = standard(self._late.similarities(query.text, head.chunks))
        return on_scale_of(head.fused, standard(cheap) + weight * words)


def across_languages(query: Query, head: Head) -> bool:
    """Whether most of the candidates are in another language than the question."""
    return 2 * sum(c.language != query.language for c in head.chunks) > len(head.chunks)


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


def open_reranking(settings: Settings, fields: Fields) -> Reranking:
    """The reranker that the settings name. Loads nothing yet."""
    if settings.reranker == "none":
        return NoReranking()
    if settings.reranker in ("auto", "late"):
        across = next((f.name for f in fields.card.fields if "*" in f.languages), None)
        late = LateInteraction(lambda: fields.embedders[across]) if across is not None else None
        return SignalReranking(late, always=settings.reranker == "late")

    def load(name: str) -> Any:
        from rag.retrieval.st_embedding import load_cross_encoder

        return load_cross_encoder(name, settings)

    return CrossEncoderReranking(settings.reranker, load)
