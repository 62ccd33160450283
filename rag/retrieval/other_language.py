"""Where the answer may stand in the other language: in a collection of several, the best passage in another language than the question's is
brought to the top as far as the question seems not to be answered in its own.

Scores of passages in two languages share no scale, so fusion prefers the question's language: of questions whose answer stood in the other
one only, it put one of seven first, although the best passage of that language alone was the right one for two of three. How near the best
passages of both languages come tells which case it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.retrieval.pool import ACROSS, Pool

# Language of the question -> weights of (lead of the best passage in its own language over the best other one, cosines in the field of all
# languages; cosine of the best passage in the field of its own language) and bias. A logistic regression over the questions of corpus/golden
# (98 Chinese, 104 English; docs/bench/retrieval.md).
WEIGHTS: Mapping[str, tuple[float, float, float]] = {"zh": (-43.0, -14.9, 10.8), "en": (-62.9, -5.3, 6.2)}
SECOND = 0.15  # chance from which on the other language's best passage is the second hit at least
FIRST = 0.65  # and from which on it is the first


def chance(
    pool: Pool, languages: Mapping[str, Sequence[str]], language: str, alien: NDArray[np.bool_], share: float
) -> float:
    """The chance, 0..1, that a question is answered in another language than its own; 0 where that cannot be told.

    `languages` are the fields' own; `alien` (n,) marks the pool's candidates in another language, to which the fields of all languages
    were given back what they take off; `share`, 0..1, is that of other languages in what the caller may see.
    """
    weights = WEIGHTS.get(language)
    across = next((s.scores for f, s in pool.dense.items() if "*" in languages[f]), None)
    own = next((s.scores for f, s in pool.dense.items() if "*" not in languages[f]), None)
    if weights is None or across is None or own is None or not 0 < share < 1 or alien.all() or not alien.any():
        return 0.0
    lead = float(np.nanmax(across[~alien]) - (np.nanmax(across[alien]) - ACROSS))
    z = weights[0] * lead + weights[1] * float(np.nanmax(own)) + weights[2]
    # The fit knows a collection of two equal halves; where the other language has a page or two, they hardly hold the answer.
    z += math.log(share / (1 - share))
    return 1 / (1 + math.exp(-z))


def place(chance_of_other: float) -> int | None:
    """The lowest rank (from 0) that the other language's best passage may have; None leaves it where it is."""
    return 0 if chance_of_other >= FIRST else 1 if chance_of_other >= SECOND else None
