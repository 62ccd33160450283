"""The built-in reranker: learned weights over cheap signals of the best candidates, no model beside the embedders.

Signals of the 20 best candidates, each standardised over them, are added up. The weights were chosen on judged public questions, for Chinese by hand,
for the rest on a grid of a few hundred settings (docs/bench/retrieval.md); automatic fits (tests/bench/rerank_weights.py) won on one set what they lost on another. It reads
the candidates' texts and stored vectors only, so it costs milliseconds where a cross-encoder costs seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    weights = {n: w for n, w in zip(NAMES, WEIGHTS.get(language, WEIGHTS[""]), strict=True) if w}
    total = np.zeros(len(head.chunks), np.float64)
    for column, weight in zip(columns(head, tuple(weights)), weights.values(), strict=True):
        total += weight * standard(column)
    return on_scale_of(head.fused, total)


def on_scale_of(fused: Column, scores: NDArray[np.floating[Any]]) -> Column:
    """(n,) `scores` with the mean and the deviation of `fused`, so that both can stand in one list; `fused` when they do not differ."""
    spread = scores.std()
    if spread < 1e-9:
        return fused
    return (fused.mean() + fused.std() * (scores - scores.mean()) / spread).astype(np.float32)


def columns(head: Head, names: Sequence[str] = NAMES) -> list[Column]:
    """The signals of these names, (n,) each. Only what is asked for is worked out."""
    of_texts = _texts(head, [n for n in names if n in _OF_TEXT])
    out = []
    for name in names:
        match name:
            case "keyword":
                out.append(head.keyword)
            case "own":
                out.append(np.where(np.isnan(head.own), _onto(head.across, head.own), head.own))
            case "across":
                out.append(np.where(np.isnan(head.across), _onto(head.own, head.across), head.across))
            case "feedback":
                out.append(feedback(head.fused, head.vectors))
            case "fused":
                out.append(head.fused)
            case _:
                out.append(of_texts[name])
    return out


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


def _texts(head: Head, names: Sequence[str]) -> dict[str, Column]:
    """The signals of `_OF_TEXT` that are named."""
    if not names:
        return {}
    read = [(tokenize(c.context), tokenize(c.text)) for c in head.chunks]
    return {
        n: np.array([_OF_TEXT[n](head, context, context + text) for context, text in read], np.float32) for n in names
    }


def _coverage(head: Head, tokens: Sequence[str]) -> float:
    """Share of the question's idf among `tokens`."""
    held = set(tokens)
    return sum(head.idf.get(t, 0.0) for t in head.terms if t in held) / _idf(head)


def _pairs(head: Head, tokens: Sequence[str]) -> float:
    """Share of the question's adjacent pairs that are adjacent in `tokens`."""
    pairs = list(pairwise(head.terms))
    beside = set(pairwise(tokens))
    return sum(p in beside for p in pairs) / max(1, len(pairs))


def _window(head: Head, tokens: Sequence[str]) -> float:
    """The most of the question's idf within WINDOW tokens, as a share."""
    places = [(at, t) for at, t in enumerate(tokens) if t in head.terms]
    best = 0.0
    for i, (start, _) in enumerate(places):
        inside = {t for at, t in places[i:] if at < start + WINDOW}
        best = max(best, sum(head.idf.get(t, 0.0) for t in inside))
    return best / _idf(head)


def _idf(head: Head) -> float:
    return sum(head.idf.get(t, 0.0) for t in head.terms) + 1e-6


# Name -> signal of a candidate, from the tokens of its context line and of all its text.
_OF_TEXT: Mapping[str, Callable[[Head, Sequence[str], Sequence[str]], float]] = {
    "coverage": lambda head, context, tokens: _coverage(head, tokens),
    "pairs": lambda head, context, tokens: _pairs(head, tokens),
    "window": lambda head, context, tokens: _window(head, tokens),
    "context": lambda head, context, tokens: _coverage(head, context),
    "length": lambda head, context, tokens: float(np.log1p(len(tokens))),
}
