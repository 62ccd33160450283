"""The second look at the best candidates: the built-in reranker, or a cross-encoder by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelUnavailable
from rag.index.text import indexed_text
from rag.retrieval.fields import Fields, coder_of
from rag.retrieval.late_interaction import LateInteraction
from rag.retrieval.query import Query
from rag.retrieval.signals import Head, on_scale_of, rescored, standard
from rag.settings import Settings

CANDIDATES = 20  # that are looked at again
FUSED_ACROSS = 0.1  # of the fused score beside late interaction across languages
# Of late interaction beside the other signals within one language, by the language of the question: for questions of up to SHORT words, and from
# LONG words on. The words of a long question tell the passages apart; those of a short one stand in many, and what they mean beside each other
# counts. Chinese, cut finely, loses by it.
LATE: Mapping[str, tuple[float, float]] = {"zh": (0.0, 0.0), "": (3.0, 0.1)}
SHORT, LONG = 3, 6


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
    """The built-in one: learned weights over cheap signals, and late interaction where it gains: where question and passages differ in
    language, and within one language by `LATE` where the token codes are stored."""

    notes: tuple[str, ...] = ()

    def __init__(self, late: LateInteraction | None = None) -> None:
        self._late = late

    def scores(self, query: Query, head: Head) -> NDArray[np.float32] | None:
        if len(head.chunks) <= 2:
            return None  # no spread to learn from
        if self._late is None:
            return rescored(head, query.language)
        if across_languages(query, head):
            # Fused scores say little here: BM25 finds names and numbers, and one vector blurs a translated question.
            words = standard(self._late.similarities(query.text, head.chunks, head.codes))
            return on_scale_of(head.fused, words + FUSED_ACROSS * standard(head.fused))
        cheap = rescored(head, query.language)
        short, long = LATE.get(query.language, LATE[""])
        weight = long + (short - long) * shortness(query)
        if not weight or None in head.codes:
            return cheap
        words = standard(self._late.similarities(query.text, head.chunks, head.codes))
        return on_scale_of(head.fused, standard(cheap) + weight * words)


def shortness(query: Query) -> float:
    """1 for a question of up to SHORT words, 0 from LONG on; stop words, synonyms and words of earlier turns do not count."""
    words = sum(weight >= 1.0 for weight in query.terms.values())
    return float(np.clip((LONG - words) / (LONG - SHORT), 0.0, 1.0))


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
    if settings.reranker == "auto":
        found = next(((f.name, coder) for f in fields.card.fields if (coder := coder_of(f)) is not None), None)
        if found is None:
            return SignalReranking()
        name, coder = found
        return SignalReranking(LateInteraction(coder, lambda: fields.embedders[name]))

    def load(name: str) -> Any:
        from rag.retrieval.st_embedding import load_cross_encoder

        return load_cross_encoder(name, settings)

    return CrossEncoderReranking(settings.reranker, load)
