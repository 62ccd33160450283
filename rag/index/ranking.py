"""What a search structure gives back: chunk ids and scores, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Ranking:
    """Best first, equal scores by id, so that a ranking is the same however the index is cut into segments."""

    ids: NDArray[np.int64]  # (n,)
    scores: NDArray[np.float32]  # (n,)

    def __len__(self) -> int:
        return len(self.ids)


EMPTY = Ranking(np.empty(0, np.int64), np.empty(0, np.float32))


def best(ids: NDArray[np.int64], scores: NDArray[np.float32], k: int) -> Ranking:
    """The `k` best of unsorted candidates."""
    if len(ids) > 4 * k:
        # Everything that ties with the k-th stays in, so that the tie is broken by id and not by the partition.
        kth = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = np.flatnonzero(scores >= kth)
        ids, scores = ids[kept], scores[kept]
    order = np.lexsort((ids, -scores))[:k]
    return Ranking(np.ascontiguousarray(ids[order], np.int64), np.ascontiguousarray(scores[order], np.float32))


def merged(rankings: Sequence[Ranking], k: int) -> Ranking:
    """The `k` best of several rankings over different ids on one scale."""
    rankings = [r for r in rankings if len(r)]
    if not rankings:
        return EMPTY
    if len(rankings) == 1:
        return Ranking(rankings[0].ids[:k], rankings[0].scores[:k])
    return best(np.concatenate([r.ids for r in rankings]), np.concatenate([r.scores for r in rankings]), k)
