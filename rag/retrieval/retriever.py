"""The one code path of every search: question understood, lists gathered, fused, reranked, cleared of repeats, explained."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rag.index.text import indexed_text
from rag.index.tokenization import fold
from rag.protocols import Vectors
from rag.retrieval import diversity, explain, fusion, synonyms
from rag.retrieval.candidates import Found, Fused
from rag.retrieval.fields import Fields
from rag.retrieval.other_language import LIFTED
from rag.retrieval.page_quality import PageQuality
from rag.retrieval.pool import DEPTH, KEYWORD, Pool, gather
from rag.retrieval.query import Query, understand
from rag.retrieval.reranking import CANDIDATES, NoReranking, Reranking, open_reranking
from rag.retrieval.rewriting import is_follow_up, parts, self_contained, without_instructions
from rag.retrieval.signals import Head
from rag.retrieval.why_not import Search, reason
from rag.settings import Settings
from rag.storage.collection import Collection
from rag.storage.snapshot import Allowed, Snapshot
from rag.types import Hit, Mode, SearchRequest, SearchResult, StageScore

WORKING = 60  # fused candidates that are read, or three times the hits asked for


class HybridRetriever:
    """Retriever over one collection. Thread-safe: all it keeps between searches are the models."""

    def __init__(
        self,
        collection: Collection,
        fields: Fields,
        settings: Settings,
        *,
        only: frozenset[str] | None = None,
        ranks: bool = False,
        reranking: Reranking | None = None,
    ) -> None:
        """`only` names the lists to search ("keyword" and vector fields), `ranks` fuses by rank instead of by score, `reranking`
        takes the place of what the settings name: all for measuring the parts. Raises UsageError for a synonyms file that cannot be read. Loads no model."""
        self._only = only
        self._ranks = ranks
        self._collection = collection
        self._fields = fields
        self._languages = {f.name: f.languages for f in collection.card.fields}
        self._pages = PageQuality()
        self._synonyms = synonyms.load(settings.synonyms)
        self._reranking = reranking if reranking is not None else open_reranking(settings, fields)

    def search(self, request: SearchRequest) -> SearchResult:
        """The hits of one generation. Raises NotFound for an unknown generation, UsageError for a filter that cannot be read."""
        started = time.perf_counter()
        snapshot = self._collection.snapshot(request.as_of)
        allowed = snapshot.allowed(request.groups, request.filter)
        earlier, question = self_contained(without_instructions(request.question), request.history)
        queries = [understand(question, self._synonyms, fading=earlier)]
        split = parts(question)
        for before, part in pairwise(("", *split)) if len(split) > 1 else ():
            # "What does it cost?" asks for what the part before names.
            about = f"{earlier} {before}" if is_follow_up(part) else earlier
            queries.append(understand(part, self._synonyms, fading=about.strip()))
        fused = [self._fused(snapshot, allowed, q, request) for q in queries]

        found = self._read(snapshot, fused, max(WORKING, 3 * request.k))
        losses: dict[int, diversity.Dropped] = {}
        found = self._boosted(found, queries[0])
        found = self._without(found, self._superseded(found, snapshot, request), losses)
        found = self._without(found, self._copies(found, snapshot), losses)
        notes: tuple[str, ...] = ()
        if request.rerank and request.mode == "hybrid" and not isinstance(self._reranking, NoReranking):
            found = self._reranked(found, queries[0], snapshot, allowed, fused[0].foreign)
            notes = self._reranking.notes
        found = self._without(found, _crowded(found, request.k), losses)

        hits = tuple(self._hit(f, rank, queries, request, snapshot) for rank, f in enumerate(found[: request.k], 1))
        why_not = None
        if request.why_not is not None:
            why_not = reason(request, request.why_not, snapshot, allowed, Search(fused, found, losses, hits))
        seconds = time.perf_counter() - started
        return SearchResult(hits, snapshot.generation, seconds, queries[0].text, why_not, notes)

    def _fused(self, snapshot: Snapshot, allowed: Allowed, query: Query, request: SearchRequest) -> Fused:
        vectors: Mapping[str, Vectors] = {}
        if request.mode != "keyword" and allowed.count:
            vectors = self._fields.question(query.text, query.language)
        keyword = request.mode != "dense"
        if self._only is not None:
            vectors = {name: v for name, v in vectors.items() if name in self._only}
            keyword = keyword and KEYWORD in self._only
        depth = max(DEPTH, 2 * request.k)
        across = [name for name in vectors if "*" in self._languages[name]]
        foreign = snapshot.allowed(request.groups, f"{request.filter} lang!={query.language}") if across else None
        if foreign is not None and foreign.count in (0, allowed.count):
            foreign = None  # one language only: nothing to even out
        pool = gather(snapshot, allowed, query, vectors, keyword=keyword, depth=depth, across=across, foreign=foreign)
        weights = fusion.WEIGHTS.get(query.language, fusion.WEIGHTS[""])
        dense = fusion.dense(pool, self._languages, weights)
        alien = np.zeros(len(pool.ids), bool)
        for name, signal in pool.dense.items():
            if "*" not in self._languages[name]:
                alien |= np.isnan(signal.scores)  # the field of the question's language does not hold it
        if self._ranks:
            return Fused(pool, dense, fusion.reciprocal_ranks(pool), alien)
        scores = _of_mode(request.mode, pool, dense, fusion.weighted(pool, self._languages, query.language, alien))
        share = foreign.count / allowed.count if foreign is not None else 0.0
        return Fused(pool, dense, scores, alien, share)

    def _read(self, snapshot: Snapshot, fused: Sequence[Fused], working: int) -> list[Found]:
        """The best candidates of all queries with their texts; each with the query that speaks loudest for it."""
        best: dict[int, tuple[float, Fused, int]] = {}
        kept: set[int] = set()
        for f in fused:
            each = f.best_of_each(CANDIDATES) if self._reranking.each_language else []
            kept |= {int(f.pool.ids[at]) for at in each}
            for at in {*f.best(working), *each}:
                score, chunk = float(f.scores[at]), int(f.pool.ids[at])
                if chunk not in best or score > best[chunk][0]:
                    best[chunk] = (score, f, at)
        order = sorted(best, key=lambda i: (-best[i][0], i))
        ids = [i for rank, i in enumerate(order) if rank < working or i in kept]
        chunks = snapshot.chunks(ids)
        documents = list(dict.fromkeys(c.document for c in chunks))
        infos = dict(zip(documents, snapshot.info(documents), strict=True))
        return [
            Found(c, infos[c.document], best[i][0], best[i][1].stages(best[i][2]))
            for i, c in zip(ids, chunks, strict=True)
        ]

    def _boosted(self, found: list[Found], query: Query) -> list[Found]:
        """Candidates that hold the question's identifiers and quotes come up: vectors do not tell PX-77 from FX-12."""
        if not query.exact:
            return found
        boosted = []
        for f in found:
            text = fold(indexed_text(f.chunk))
            share = sum(e in text for e in query.exact) / len(query.exact)
            stages = {**f.stages, "exact": StageScore(1, share)} if share else f.stages
            boosted.append(replace(f, score=f.score + fusion.EXACT * share, stages=stages))
        return sorted(boosted, key=lambda f: (-f.score, f.chunk.id))

    def _superseded(
        self, found: Sequence[Found], snapshot: Snapshot, request: SearchRequest
    ) -> list[diversity.Dropped]:
        infos = {f.info.document: f.info for f in found}
        dropped = []
        for position, f in enumerate(found):
            if f.info.superseded_by is None:
                continue
            by = diversity.newest(f.info.document, lambda d: infos[d].superseded_by if d in infos else None)
            # A newer version that is not among the candidates is not visible here, or does not speak of this.
            if by == f.info.document or by not in infos:
                continue
            old, new = (f"{i.path} {i.title} {i.date or ''}" for i in (f.info, infos[by]))
            if not diversity.asks_for_old(request.question, old, new):
                dropped.append(diversity.Dropped(position, "superseded", by))
        return dropped

    def _copies(self, found: Sequence[Found], snapshot: Snapshot) -> list[diversity.Dropped]:
        ids = np.array([f.chunk.id for f in found], np.int64)
        near = np.zeros((len(ids), len(ids)), bool)
        for field in self._languages if len(ids) else ():
            vectors = snapshot.vectors(field, ids)
            with np.errstate(invalid="ignore"):  # NaN where the field does not hold the chunk
                near |= vectors @ vectors.T >= diversity.NEAR
        return diversity.copies(_seen(found), near)

    def head(
        self, query: Query, found: Sequence[Found], snapshot: Snapshot, allowed: Allowed, foreign: float = 0.0
    ) -> Head:
        """What a reranker sees of the best candidates."""

        def column(name: str, otherwise: float = np.nan) -> NDArray[np.float32]:
            return np.array([f.stages[name].score if name in f.stages else otherwise for f in found], np.float32)

        fields = [f for f in self._languages if any(f in c.stages for c in found)]
        own = next((f for f in fields if "*" not in self._languages[f]), None)
        across = next((f for f in fields if "*" in self._languages[f]), None)
        nothing = np.full(len(found), np.nan, np.float32)
        words = allowed.keyword()
        ids = [f.chunk.id for f in found]
        stored = snapshot.token_codes([f.chunk.content_hash for f in found])
        frequency = {t: words.document_frequency(t) for t in query.terms}
        return Head(
            terms=query.terms,
            idf={t: float(np.log1p((words.rows - n + 0.5) / (n + 0.5))) for t, n in frequency.items() if n},
            chunks=[f.chunk for f in found],
            fused=np.array([f.score for f in found], np.float32),
            keyword=column(KEYWORD, 0.0),
            own=column(own) if own else nothing,
            across=column(across) if across else nothing,
            vectors=[snapshot.vectors(f, ids) for f in fields],
            codes=[stored.get(f.chunk.content_hash) for f in found],
            foreign=foreign,
        )

    def _reranked(
        self, found: list[Found], query: Query, snapshot: Snapshot, allowed: Allowed, foreign: float
    ) -> list[Found]:
        head = found[:CANDIDATES]
        if foreign and self._reranking.each_language:
            own, other = ([f for f in found if (f.chunk.language != query.language) == side] for side in (False, True))
            head = own[:CANDIDATES] + other[:CANDIDATES]
        rescored = self._reranking.scores(query, self.head(query, head, snapshot, allowed, foreign))
        if rescored is None:
            return found
        ids = {f.chunk.id for f in head}
        tail = [f for f in found if f.chunk.id not in ids]
        judged = explain.Column(rescored.scores)
        head = [
            replace(f, score=stage.score, stages={**f.stages, **_judged(f, query, stage, rescored.elsewhere)})
            for at, f in enumerate(head)
            if (stage := judged[at]) is not None
        ]
        head.sort(key=lambda f: (-f.score, f.chunk.id))
        if head and tail:  # what was not reranked stays behind what was
            shift = max(0.0, tail[0].score - head[-1].score + 1e-3)
            tail = [replace(f, score=f.score - shift) for f in tail]
        return head + tail

    def _without(
        self, found: list[Found], dropped: Sequence[diversity.Dropped], losses: dict[int, diversity.Dropped]
    ) -> list[Found]:
        for d in dropped:
            losses[found[d.position].chunk.id] = d
        gone = {d.position for d in dropped}
        return [f for i, f in enumerate(found) if i not in gone]

    def _hit(
        self, found: Found, rank: int, queries: Sequence[Query], request: SearchRequest, snapshot: Snapshot
    ) -> Hit:
        terms: tuple[str, ...] = ()
        if request.explain:
            terms = explain.matched_terms(queries[0].terms, indexed_text(found.chunk))
        return Hit(
            chunk=found.chunk,
            score=_shown(found.score, request.mode),
            rank=rank,
            title=found.info.title,
            path=found.info.path,
            text_score=self._pages.of(found.chunk, found.info, snapshot),
            date=found.info.date,
            stages=found.stages,
            matched_terms=terms,
        )


def _of_mode(mode: Mode, pool: Pool, dense: NDArray[np.float32], weighted: NDArray[np.float32]) -> NDArray[np.float32]:
    """The scores that rank: of one list its own, so that they mean what users of that list expect."""
    if mode == "keyword":
        return pool.signals[KEYWORD].scores
    if mode == "dense":
        only = list(pool.dense.values())
        return only[0].scores if len(only) == 1 else dense
    return weighted


def _judged(found: Found, query: Query, stage: StageScore, elsewhere: float) -> dict[str, StageScore]:
    """The stages that reranking adds to a candidate; of one in another language also the chance that the answer stands there."""
    stages = {"rerank": stage}
    if elsewhere >= LIFTED and found.chunk.language != query.language:
        stages["other language"] = StageScore(stage.rank, elsewhere)
    return stages


def _shown(score: float, mode: Mode) -> float:
    """Hybrid scores are deviations above the mean of the candidates; users get them between 0 and 1."""
    return float(1.0 / (1.0 + np.exp(-score / 2.0))) if mode == "hybrid" else score


def _seen(found: Sequence[Found]) -> list[diversity.Candidate]:
    return [diversity.Candidate(i, f.chunk.document, f.chunk.text, f.info.date or "") for i, f in enumerate(found)]


def _crowded(found: Sequence[Found], k: int) -> list[diversity.Dropped]:
    return diversity.crowded(_seen(found), k)
