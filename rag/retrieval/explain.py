"""Why a hit is where it is, Pure, and says nothing of what a caller may not see."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rag.index.tokenization import tokenize
from rag.types import StageScore


def standing(scores: NDArray[np.float32]) -> list[StageScore | None]:
    """Rank and score of each candidate in one stage; None where it has none (NaN)."""
    filled = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-filled, kind="stable")
    ranks = np.empty(len(scores), np.int64)
    ranks[order] = np.arange(1, len(scores) + 1)
    return [None if np.isnan(s) else StageScore(int(r), float(s)) for r, s in zip(ranks, scores, strict=True)]


def matched_terms(terms: Mapping[str, float], text: str) -> tuple[str, ...]:
    """The query's tokens that stand in the text, heaviest first."""
    held = set(tokenize(text))
    return tuple(sorted((t for t in terms if t in held), key=lambda t: (-terms[t], t)))
