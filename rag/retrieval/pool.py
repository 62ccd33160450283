"""The candidates of one query and what every signal says of each of them.

The lists of BM25 and of the vector fields are joined, and each candidate is then scored exactly by every signal: a chunk that one list
missed still has its true score there, so scores can be fused and no rank has to be made up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.index.ranking import Ranking, best
from rag.protocols import Vectors
from rag.retrieval.query import Query
from rag.storage.snapshot import Allowed, Snapshot

KEYWORD = "keyword"
DEPTH = 100  # of each list; the scale of a signal is that of its list
# What an embedder of many languages takes off a passage for being in another language than the question: e5 gives a Chinese question
# 0.08 more with a Chinese passage than with an English one, whatever they say, and an English question 0.04 more with an English one.
ACROSS = 0.045


@dataclass(frozen=True, eq=False)
class Signal:
    """What one index says."""

    ranking: Ranking  # its own list, best first
    scores: NDArray[np.float32]  # (candidates,) exact; NaN where the index does not hold the candidate


@dataclass(frozen=True, eq=False)
class Pool:
    """Candidates and signals: "keyword", and one for each vector field that was asked."""

    ids: NDArray[np.int64]  # (n,) ascending
    signals: Mapping[str, Signal]
    rows: int  # chunks that were searched

    @property
    def dense(self) -> dict[str, Signal]:
        return {name: s for name, s in self.signals.items() if name != KEYWORD}


def gather(
    snapshot: Snapshot,
    allowed: Allowed,
    query: Query,
    vectors: Mapping[str, Vectors],
    *,
    keyword: bool = True,
    depth: int = DEPTH,
    across: Collection[str] = (),
    foreign: Allowed | None = None,
) -> Pool:
    """The pool of a query. `vectors` are the question's, one a field; `keyword=False` leaves BM25 out.

    `across` names the fields that hold every language and `foreign` is the part of the allowed set in other languages than the
    question's: its best are candidates too, and get back what those fields take off them.
    """
    lists: dict[str, Ranking] = {}
    if keyword:
        lists[KEYWORD] = snapshot.keyword(query.terms, allowed, depth)
    for field, vector in vectors.items():
        lists[field] = snapshot.dense(field, vector, allowed, depth)
    others = [
        snapshot.dense(f, vectors[f], foreign, depth // 2).ids for f in across if f in vectors and foreign is not None
    ]
    ids = np.unique(np.concatenate([np.empty(0, np.int64), *(r.ids for r in lists.values()), *others]))
    signals: dict[str, Signal] = {}
    for name, ranking in lists.items():
        if name == KEYWORD:
            scores = allowed.keyword().scores(query.terms, ids)
        else:
            scores = snapshot.vectors(name, ids) @ vectors[name]
            if name in across and foreign is not None:
                scores = scores + (ACROSS * foreign.contains(ids)).astype(np.float32)
                ranking = best(ids, scores.astype(np.float32), depth)
        signals[name] = Signal(ranking, scores.astype(np.float32))
    return Pool(ids, signals, allowed.count)
