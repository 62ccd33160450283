"""The retriever: allowed set, keyword and vector searches, fusion. One code path for commands, service and evaluation."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rag.errors import UsageError
from rag.index import language, tokenization
from rag.index.ranking import Ranking
from rag.retrieval.fields import Fields
from rag.retrieval.fusion import reciprocal_rank
from rag.settings import Settings
from rag.storage.collection import Collection
from rag.storage.snapshot import Snapshot
from rag.types import Hit, SearchRequest, SearchResult, StageScore

CANDIDATES = 100  # of each ranking that take part in the fusion


class HybridRetriever:
    """BM25 and the vector fields of one collection, fused. Thread-safe."""

    def __init__(self, collection: Collection, fields: Fields, settings: Settings) -> None:
        self._collection = collection
        self._fields = fields
        self._settings = settings

    def search(self, request: SearchRequest) -> SearchResult:
        """The hits of one generation. Raises UsageError for an empty question or a bad filter, NotFound for a generation."""
        started = time.perf_counter()
        query = request.question.strip()
        if not query:
            raise UsageError("the question is empty; ask something")
        snapshot = self._collection.snapshot(request.as_of)
        allowed = snapshot.allowed(request.groups, request.filter)
        depth = max(CANDIDATES, request.k)
        rankings: dict[str, tuple[float, Ranking]] = {}
        if request.mode != "dense":
            rankings["keyword"] = (1.0, snapshot.keyword(tokenization.tokenize(query), allowed, depth))
        if request.mode != "keyword" and allowed.count:
            for field, vector in self._fields.question(query, language.detect(query)).items():
                rankings[field] = (1.0, snapshot.dense(field, vector, allowed, depth))
        fused = next(iter(rankings.values()))[1] if len(rankings) == 1 else reciprocal_rank(rankings, depth)
        hits = _hits(snapshot, fused, {name: ranking for name, (_, ranking) in rankings.items()}, request.k)
        return SearchResult(hits, snapshot.generation, time.perf_counter() - started, query)


def _hits(snapshot: Snapshot, fused: Ranking, rankings: Mapping[str, Ranking], k: int) -> tuple[Hit, ...]:
    chunks = snapshot.chunks(fused.ids[:k])
    infos = {info.document: info for info in snapshot.info(list({c.document for c in chunks}))}
    places = {name: {c: i for i, c in enumerate(r.ids.tolist())} for name, r in rankings.items()}
    hits = []
    for rank, (chunk, score) in enumerate(zip(chunks, fused.scores.tolist(), strict=False), 1):
        stages = {
            name: StageScore(place[chunk.id] + 1, float(rankings[name].scores[place[chunk.id]]))
            for name, place in places.items()
            if chunk.id in place
        }
        stages["fusion"] = StageScore(rank, score)
        info = infos[chunk.document]
        hits.append(Hit(chunk, score, rank, info.title, info.path, date=info.date, stages=stages))
    return tuple(hits)
