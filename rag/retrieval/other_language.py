"""Where the answer may stand in the other language: in a collection of several, passages in the question's language and in others are ranked each
among themselves, and the chance that the answer stands elsewhere tells how the two lists are laid into each other.

Scores of passages in two languages share no scale: BM25 finds little more than names and numbers across languages, and embedders of many
languages prefer the question's own, whatever is said. Word by word (late interaction) the best passages of both lists come close to a
common one, and which of them is nearer tells best where the answer stands (docs/bench/retrieval.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

# Language of the question -> weights of (lead of its own language's best passage over the best other one, by words; the same lead by vectors in
# the field of all languages; cosine of the best passage in the field of its own language) and bias. A logistic regression over the questions of
# corpus/golden (98 Chinese, 104 English) and 800 of XQuAD, over paragraphs of which each was there in one language only.
WEIGHTS: Mapping[str, tuple[float, float, float, float]] = {
    "zh": (-27.1, 3.5, -1.9, 3.4),
    "en": (-19.6, -34.9, -4.3, 5.2),
}
# From each chance on: whose turn it is for the first places, 1 = the other language's next best passage.
TURNS: tuple[tuple[float, tuple[int, ...]], ...] = (
    (0.6, (1, 0, 1, 0, 1)),
    (0.15, (0, 1, 0, 1)),
    (0.03, (0, 0, 1)),
)
LIFTED = TURNS[-1][0]  # the least chance that brings anything up
LIKELY = TURNS[-2][0]  # the least one that makes what it brings up worth reading beside the question's own language


def chance(language: str, by_words: float, by_vectors: float, own: float, share: float) -> float:
    """The chance, 0..1, that a question is answered in another language than its own; 0 where that cannot be told.

    `by_words`, `by_vectors` and `own` as in WEIGHTS; `share`, 0..1, is that of other languages in what the caller may see.
    """
    weights = WEIGHTS.get(language)
    if weights is None or not 0 < share < 1 or math.isnan(by_vectors + own):
        return 0.0
    z = weights[0] * by_words + weights[1] * by_vectors + weights[2] * own + weights[3]
    # The fit knows collections of two equal halves; where the other language has a page or two, they hardly hold the answer.
    z += math.log(share / (1 - share))
    return 1 / (1 + math.exp(-z))


def merged(scores: NDArray[np.float32], foreign: NDArray[np.bool_], elsewhere: float) -> NDArray[np.float32]:
    """(n,) the same scores, dealt out anew so that the passages stand in each other's list as the chance `elsewhere` says; after the
    first places, and where that chance is small, the scores decide."""
    ranked = [int(i) for i in np.argsort(-scores, kind="stable")]
    own, other = ([i for i in ranked if foreign[i] == side] for side in (False, True))
    first, _, _ = _first_places(own, other, elsewhere)
    order = first + [i for i in ranked if i not in first]
    out = np.empty_like(scores)
    out[order] = np.sort(scores)[::-1]
    return out


def dealt(own: Sequence[T], other: Sequence[T], elsewhere: float) -> list[T]:
    """Two ranked lists as one: the first places as the chance `elsewhere` says, then in turns."""
    first, own, other = _first_places(own, other, elsewhere)
    return first + [x for pair in zip_longest(own, other) for x in pair if x is not None]


def _first_places(own: Sequence[T], other: Sequence[T], elsewhere: float) -> tuple[list[T], list[T], list[T]]:
    """The first places, and what is left of the two lists."""
    left = [list(own), list(other)]
    turns = next((turns for least, turns in TURNS if elsewhere >= least), ())
    return [left[turn].pop(0) for turn in turns if left[turn]], left[0], left[1]
