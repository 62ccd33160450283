"""Signals to one score: a weighted sum of standardised scores, with reciprocal rank fusion as the fallback.

Scores of different indexes share no scale. Each is standardised over its own list of the best `DEPTH` chunks - minus their mean, by their
deviation - so that a list with one outstanding hit says more than a flat one, which ranks cannot express. Convex combinations of normalised
scores beat reciprocal ranks also in Bruch, Gai & Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval". The weights are the
only ones of the search, here in one place; docs/bench/retrieval.md has the figures they come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.retrieval.pool import DEPTH, KEYWORD, Pool, Signal

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Weights:
    """Of BM25, of the fields that hold one language, and of those that hold every language."""

    keyword: float
    own: float
    across: float


# By the language of the question. Chinese is cut finely (words and bigrams), so there BM25 is the strongest single list.
WEIGHTS: Mapping[str, Weights] = {"zh": Weights(1.0, 0.5, 0.7), "": Weights(1.0, 1.0, 1.0)}
ALIEN = 0.2  # of BM25 for a candidate in another language than the question
FLOOR = -3.0  # deviations; a candidate far below a list is no worse for being further below
EXACT = 2.0  # deviations for holding every identifier and quoted phrase of the question
RRF_K = 60


def standardised(signal: Signal, rows: int) -> Scores:
    """(n,) deviations above the mean of the signal's own list; NaN where it has no score.

    A list shorter than it could be (BM25 found few chunks with a word) counts as filled up with zeros.
    """
    best = signal.ranking.scores[:DEPTH].astype(np.float64)
    best = np.concatenate([best, np.zeros(max(0, min(DEPTH, rows) - len(best)))])
    if not len(best):
        return np.full(len(signal.scores), np.nan, np.float32)
    z = (signal.scores - best.mean()) / (best.std() + 1e-6)
    return np.maximum(z, FLOOR, where=~np.isnan(z), out=z).astype(np.float32)


def dense(pool: Pool, languages: Mapping[str, Sequence[str]], weights: Weights) -> Scores:
    """(n,) weighted mean of the vector fields that hold the candidate; 0 where none does.

    `languages` are the fields' own (card): "*" holds all.
    """
    total = np.zeros(len(pool.ids), np.float32)
    weight = np.zeros(len(pool.ids), np.float32)
    for name, signal in pool.dense.items():
        z = standardised(signal, pool.rows)
        held = ~np.isnan(z)
        w = weights.across if "*" in languages[name] else weights.own
        total[held] += np.float32(w) * z[held]
        weight[held] += np.float32(w)
    return np.divide(total, weight, out=total, where=weight > 0)


def weighted(pool: Pool, languages: Mapping[str, Sequence[str]], language: str, alien: NDArray[np.bool_]) -> Scores:
    """(n,) fused scores, weighted mean in deviations.

    `alien` marks candidates in another language than the question: BM25 finds little more than names and numbers there.
    """
    weights = WEIGHTS.get(language, WEIGHTS[""])
    by_vectors = dense(pool, languages, weights)
    if KEYWORD not in pool.signals:
        return by_vectors
    by_words = standardised(pool.signals[KEYWORD], pool.rows)
    if not pool.dense:
        return by_words
    words = np.where(alien, ALIEN, weights.keyword)
    held = sum(
        (weights.across if "*" in languages[n] else weights.own) * ~np.isnan(s.scores) for n, s in pool.dense.items()
    )
    return ((words * by_words + held * by_vectors) / (words + held)).astype(np.float32)


def reciprocal_ranks(pool: Pool) -> Scores:
    """(n,) sum of 1 / (60 + rank) over the lists (Cormack, Clarke & Büttcher 2009): needs no scale and no weights."""
    total = np.zeros(len(pool.ids), np.float32)
    for signal in pool.signals.values():
        at = np.searchsorted(pool.ids, signal.ranking.ids)
        total[at] += 1.0 / (RRF_K + 1 + np.arange(len(at), dtype=np.float32))
    return total
