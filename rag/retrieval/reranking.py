"""The second look at the best candidates: the built-in reranker, or a cross-encoder by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelUnavailable
from rag.index.text import indexed_text
from rag.retrieval.fields import Fields, coder_of
from rag.retrieval.late_interaction import LateInteraction
from rag.retrieval.other_language import chance, merged
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


@dataclass(frozen=True, eq=False)
class Rescored:
    """What a reranker says of the best candidates."""

    scores: NDArray[np.float32]  # (n,) higher is better
    elsewhere: float = 0.0  # the chance that the answer stands in another language than the question's


class Reranking(Protocol):
    """Scores the best candidates anew."""

    notes: tuple[str, ...]  # what the caller should know: "reranker X: no weights, the ranking is the fusion's"
    each_language: bool  # whether it reads the best of the question's language beside the best of others

    def scores(self, query: Query, head: Head) -> Rescored | None:
        """New scores; None leaves the ranking as it is."""
        ...


class NoReranking:
    """Leaves the fusion's ranking as it is."""

    notes: tuple[str, ...] = ()
    each_language = False

    def scores(self, query: Query, head: Head) -> Rescored | None:
        return None


class SignalReranking:
    """The built-in one: learned weights over cheap signals, and late interaction where it gains: where question and passages differ in
    language, and within one language by `LATE` where the token codes are stored."""

    notes: tuple[str, ...] = ()

    def __init__(self, late: LateInteraction | None = None) -> None:
        self.late = late
        self.each_language = late is not None

    def scores(self, query: Query, head: Head) -> Rescored | None:
        if len(head.chunks) <= 2:
            return None  # no spread to learn from
        foreign = np.array([c.language != query.language for c in head.chunks])
        if self.late is None:
            return Rescored(rescored(head, query.language))
        # Codes that are not stored are made on the spot, which takes seconds: only where little can be told without.
        affordable = None not in head.codes or 2 * foreign.sum() > len(foreign)
        words: NDArray[np.float32] | None = None
        if affordable and (foreign.any() or self._weight(query)):
            words = self.late.similarities(query.text, head.chunks, head.codes)
        if words is None or not foreign.any():
            return Rescored(self._within(query, head, words))
        own, other = np.flatnonzero(~foreign), np.flatnonzero(foreign)
        scores = np.empty(len(head.chunks), np.float32)
        if len(own):
            scores[own] = self._within(query, head.take(own), words[own])
        # Fused scores say little here: BM25 finds names and numbers, and one vector blurs a translated question.
        fused = head.fused[other]
        scores[other] = on_scale_of(fused, standard(words[other]) + FUSED_ACROSS * standard(fused))
        elsewhere = chance(query.language, *leads(head, words, foreign), head.foreign) if len(own) else 0.0
        return Rescored(merged(scores, foreign, elsewhere), elsewhere)

    def _within(self, query: Query, head: Head, words: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """New scores of passages in the question's language."""
        cheap = rescored(head, query.language)
        weight = self._weight(query)
        if words is None or not weight:
            return cheap
        return on_scale_of(head.fused, standard(cheap) + weight * standard(words))

    def _weight(self, query: Query) -> float:
        """Of late interaction within one language."""
        short, long = LATE.get(query.language, LATE[""])
        return long + (short - long) * shortness(query)


def leads(head: Head, words: NDArray[np.float32], foreign: NDArray[np.bool_]) -> tuple[float, float, float]:
    """What tells whether the answer stands in another language than the question's, as other_language.WEIGHTS has it, from the similarities
    word by word; NaN where a field does not hold one of the sides."""

    def best(column: NDArray[np.float32], side: NDArray[np.bool_]) -> float:
        held = column[side & ~np.isnan(column)]
        return float(held.max()) if len(held) else float("nan")

    by_words, by_vectors = (best(column, ~foreign) - best(column, foreign) for column in (words, head.across))
    return by_words, by_vectors, best(head.own, ~foreign)


def shortness(query: Query) -> float:
    """1 for a question of up to SHORT words, 0 from LONG on; stop words, synonyms and words of earlier turns do not count."""
    words = sum(weight >= 1.0 for weight in query.terms.values())
    return float(np.clip((LONG - words) / (LONG - SHORT), 0.0, 1.0))


class CrossEncoderReranking:
    """A cross-encoder by hub name or folder, loaded at the first question; without weights the fusion's ranking stays."""

    each_language = False  # reads every language, and every candidate costs it a reading

    def __init__(self, name: str, load: Callable[[str], Any]) -> None:
        self.notes: tuple[str, ...] = ()
        self._name = name
        self._load = load
        self._model: Any = None
        self._lock = Lock()

    def scores(self, query: Query, head: Head) -> Rescored | None:
        """The model's own scores."""
        with self._lock:
            if self._model is None and not self.notes:
                try:
                    self._model = self._load(self._name)
                except ModelUnavailable as e:
                    self.notes = (f"reranker {self._name}: no weights here, the ranking is the fusion's ({e})",)
        if self._model is None or not head.chunks:
            return None
        texts = [indexed_text(c) for c in head.chunks]
        return Rescored(np.asarray(self._model.score(query.text, texts), np.float32))


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
