"""Why a hit is where it is, Pure, and says nothing of what a caller may not see."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rag.index.tokenization import tokenize
from rag.types import StageScore


class Column:
    """One stage's scores of all candidates, NaN where it has none, and their ranks from 1."""

    def __init__(self, scores: NDArray[np.float32]) -> None:
        self._scores = scores
        self._ranks = np.empty(len(scores), np.int64)
        self._ranks[np.argsort(-np.where(np.isnan(scores), -np.inf, scores), kind="stable")] = np.arange(
            1, len(scores) + 1
        )

    def __getitem__(self, at: int) -> StageScore | None:
        """Rank and score of a candidate; None where it has none."""
        score = float(self._scores[at])
        return None if np.isnan(score) else StageScore(int(self._ranks[at]), score)


def matched_terms(terms: Mapping[str, float], text: str) -> tuple[str, ...]:
    """The query's tokens that stand in the text, heaviest first."""
    held = set(tokenize(text))
    return tuple(sorted((t for t in terms if t in held), key=lambda t: (-terms[t], t)))
