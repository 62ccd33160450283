"""The built-in reranker: learned weights over cheap signals of the best candidates, no model beside the embedders.

Signals of the 20 best candidates, each standardised over them, are added up. The weights were chosen on judged public questions, for Chinese by hand,
for the rest on a grid of a few hundred settings (docs/bench/retrieval.md); automatic fits (tests/bench/rerank_weights.py) won on one set what they lost on another. It reads
the candidates' texts and stored vectors only, so it costs milliseconds where a cross-encoder costs seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.index.tokenization import tokenize
from rag.protocols import Vectors
from rag.types import Chunk

Column = NDArray[np.float32]

NAMES = ("keyword", "own", "across", "feedback", "coverage", "pairs", "window", "context", "length", "fused")
# By the language of the question, in the order of NAMES.
WEIGHTS: Mapping[str, tuple[float, ...]] = {
    "zh": (0.0, 0.0, 0.0, 0.1, 0.0, 0.2, 0.0, 0.0, 0.0, 1.0),
    "": (0.2, 0.0, 0.0, 0.4, 0.0, 0.0, 0.0, 0.0, 0.1, 1.0),
}
FEEDBACK = 3  # candidates that are taken for relevant
WINDOW = 40  # tokens


@dataclass(frozen=True, eq=False)
class Head:
    """The best candidates of a query, best first, and what is known of them."""

    terms: Mapping[str, float]  # of the question: token -> weight
    idf: Mapping[str, float]  # of those tokens
    chunks: Sequence[Chunk]
    fused: Column  # (n,)
    keyword: Column  # (n,) BM25, 0 where no word matches
    own: Column  # (n,) similarity in the field of the question's language, NaN where it does not hold the chunk
    across: Column  # (n,) similarity in the field of all languages, NaN likewise
    vectors: Sequence[Vectors]  # one (n, dim) a field, NaN rows where it does not hold the chunk
    codes: Sequence[bytes | None]  # token codes of each, None where none are stored
    foreign: float = 0.0  # share of other languages than the question's in what the caller may see

    def take(self, rows: NDArray[np.intp]) -> Head:
        """The same of some of the candidates."""
        return replace(
            self,
            chunks=[self.chunks[i] for i in rows],
            fused=self.fused[rows],
            keyword=self.keyword[rows],
            own=self.own[rows],
            across=self.across[rows],
            vectors=[field[rows] for field in self.vectors],
            codes=[self.codes[i] for i in rows],
        )


def rescored(head: Head, language: str) -> Column:
    """(n,) new scores, with the mean and the deviation of the fused ones."""
    weights = WEIGHTS.get(language, WEIGHTS[""])
    total = np.zeros(len(head.chunks), np.float64)
    for column, weight in zip(columns(head), weights, strict=True):
        if weight:
            total += weight * standard(column)
    return on_scale_of(head.fused, total)


def on_scale_of(fused: Column, scores: NDArray[np.floating[Any]]) -> Column:
    """(n,) `scores` with the mean and the deviation of `fused`, so that both can stand in one list; `fused` when they do not differ."""
    spread = scores.std()
    if spread < 1e-9:
        return fused
    return (fused.mean() + fused.std() * (scores - scores.mean()) / spread).astype(np.float32)


def columns(head: Head) -> list[Column]:
    """The signals in the order of NAMES, (n,) each."""
    own = np.where(np.isnan(head.own), _onto(head.across, head.own), head.own)
    across = np.where(np.isnan(head.across), _onto(head.own, head.across), head.across)
    return [head.keyword, own, across, feedback(head.fused, head.vectors), *_texts(head), head.fused]


def feedback(fused: Column, vectors: Sequence[Vectors]) -> Column:
    """(n,) nearness to the best candidates themselves (Rocchio 1971, as pseudo-relevance feedback): what they share is what was
    asked for, whatever words the question used."""
    best = np.argsort(-fused, kind="stable")[:FEEDBACK]
    share = np.exp(fused[best] - fused[best].max())
    total = np.zeros(len(fused), np.float32)
    for field in vectors:
        held = best[~np.isnan(field[best]).any(axis=1)]
        if not len(held):
            continue
        centre = share[np.isin(best, held)] @ field[held]
        near = field @ centre
        total += standard(np.where(np.isnan(near), np.nanmean(near), near))
    return total


def standard(column: Column) -> Column:
    """Deviations from the mean; zeros for a column that says nothing. NaN counts as the mean."""
    known = column[~np.isnan(column)]
    if not len(known) or known.std() < 1e-9:
        return np.zeros(len(column), np.float32)
    z = (column - known.mean()) / known.std()
    return np.nan_to_num(z, nan=0.0).astype(np.float32)


def _onto(column: Column, scale: Column) -> Column:
    """`column` moved onto the mean and deviation of `scale`, where both are known."""
    if np.isnan(scale).all():
        return column
    z = standard(column)
    return (np.nanmean(scale) + np.nanstd(scale) * z).astype(np.float32)


def _texts(head: Head) -> list[Column]:
    """Share of the question's idf that the text covers, share of its adjacent pairs that are adjacent there, share of idf in the best
    window of WINDOW tokens, share of idf in the context line, logarithm of the length."""
    asked = list(head.terms)
    total = sum(head.idf.get(t, 0.0) for t in asked) + 1e-6
    pairs = list(pairwise(asked))
    rows = []
    for chunk in head.chunks:
        context = tokenize(chunk.context)
        tokens = context + tokenize(chunk.text)
        held = set(tokens)
        beside = set(pairwise(tokens))
        rows.append(
            (
                sum(head.idf.get(t, 0.0) for t in asked if t in held) / total,
                sum(p in beside for p in pairs) / max(1, len(pairs)),
                _window(tokens, head) / total,
                sum(head.idf.get(t, 0.0) for t in asked if t in set(context)) / total,
                np.log1p(len(tokens)),
            )
        )
    return list(np.array(rows, np.float32).reshape(len(head.chunks), 5).T)


def _window(tokens: Sequence[str], head: Head) -> float:
    """The most idf of the question within WINDOW tokens."""
    places = [(at, t) for at, t in enumerate(tokens) if t in head.terms]
    best = 0.0
    for i, (start, _) in enumerate(places):
        inside = {t for at, t in places[i:] if at < start + WINDOW}
        best = max(best, sum(head.idf.get(t, 0.0) for t in inside))
    return best
