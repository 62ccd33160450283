"""Several rankings to one: reciprocal rank fusion (Cormack, Clarke, Buettcher, SIGIR 2009). Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rag.index.ranking import Ranking, best

RRF_K = 60


def reciprocal_rank(rankings: Mapping[str, tuple[float, Ranking]], k: int) -> Ranking:
    """The `k` best by the sum of weight / (60 + rank) over the rankings that hold a chunk; ranks count from 1."""
    total: dict[int, float] = {}
    for weight, ranking in rankings.values():
        for rank, chunk in enumerate(ranking.ids.tolist(), 1):
            total[chunk] = total.get(chunk, 0.0) + weight / (RRF_K + rank)
    ids = np.fromiter(total, np.int64, len(total))
    return best(ids, np.fromiter(total.values(), np.float32, len(total)), k)
