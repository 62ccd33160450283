"""Rankings of the service's own retriever over judged questions, and what they score (metrics by ir-measures)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.datasets import Query
from eval.statistics import Interval, compare, holm, interval
from rag.errors import UsageError
from rag.types import Mode, SearchRequest

if TYPE_CHECKING:
    from rag.protocols import Retriever

METRICS = ("ndcg@10", "recall@10", "recall@100", "mrr@10", "hit@1")
HITS = 100  # that are asked for
TIMED = 10  # hits of the timed searches: what a user asks for
TIMINGS = 40  # questions of a run that are timed


@dataclass(frozen=True)
class Ranked:
    """What one run gave for one question."""

    query: str  # id
    documents: tuple[str, ...]  # best first, each once
    scores: Mapping[str, float]  # metric -> value
    seconds: float | None  # of a search for TIMED hits, where it was timed


Ranking = tuple[tuple[str, ...], float | None]  # document ids, best first; seconds


@dataclass(frozen=True)
class Engine:
    """What a run searches with."""

    ranking: Retriever
    timing: Retriever  # the same search, nothing remembered
    mode: Mode
    rerank: bool

    def rank(self, query: Query, timed: bool) -> Ranking:
        """Document ids (the records' ids), best first, and the seconds of a search for TIMED hits if that was asked for."""
        seconds = None
        if timed:  # first, for an embedder keeps the questions it was asked last
            started = time.perf_counter()
            self.timing.search(SearchRequest(query.text, k=TIMED, mode=self.mode, rerank=self.rerank))
            seconds = time.perf_counter() - started
        request = SearchRequest(query.text, k=HITS, mode=self.mode, rerank=self.rerank)
        return tuple(dict.fromkeys(h.path for h in self.ranking.search(request).hits)), seconds


def score(queries: Sequence[Query], rankings: Mapping[str, Ranking]) -> list[Ranked]:
    """Every question with its values; one that found nothing counts with 0."""
    import ir_measures
    from ir_measures import RR, R, Success, nDCG

    measures = {
        "ndcg@10": nDCG @ 10,
        "recall@10": R @ 10,
        "recall@100": R @ 100,
        "mrr@10": RR @ 10,
        "hit@1": Success @ 1,
    }
    judged = [ir_measures.Qrel(q.id, d, grade) for q in queries for d, grade in q.relevant.items()]
    run = [ir_measures.ScoredDoc(q.id, d, float(-place)) for q in queries for place, d in enumerate(rankings[q.id][0])]
    values: dict[str, dict[str, float]] = {q.id: dict.fromkeys(METRICS, 0.0) for q in queries}
    names = {str(m): name for name, m in measures.items()}
    for value in ir_measures.iter_calc(list(measures.values()), judged, run):
        values[value.query_id][names[str(value.measure)]] = float(value.value)
    return [Ranked(q.id, rankings[q.id][0], values[q.id], rankings[q.id][1]) for q in queries]


def figures(ranked: Sequence[Ranked], seed: int = 0) -> dict[str, Any]:
    """Means, their 95 % intervals, n, and seconds a question."""
    out: dict[str, Any] = {}
    intervals: dict[str, list[float]] = {}
    for metric in METRICS:
        found: Interval = interval([r.scores[metric] for r in ranked], seed)
        out[metric] = found.mean
        intervals[metric] = [found.low, found.high]
    seconds = [r.seconds for r in ranked if r.seconds is not None] or [float("nan")]
    return out | {
        "n": len(ranked),
        "intervals": intervals,
        "seconds": {"p50": float(np.percentile(seconds, 50)), "p95": float(np.percentile(seconds, 95))},
    }


def by_label(queries: Sequence[Query], ranked: Sequence[Ranked], seed: int = 0) -> dict[str, dict[str, Any]]:
    """ "lang=zh", "kind=..." -> figures, where a label tells questions apart."""
    groups: dict[str, list[Ranked]] = {}
    for query, r in zip(queries, ranked, strict=True):
        for label, value in query.labels.items():
            groups.setdefault(f"{label}={value}", []).append(r)
    return {name: figures(of, seed) for name, of in sorted(groups.items()) if len(of) < len(ranked)}


def comparisons(runs: Mapping[str, Sequence[Ranked]], metric: str = "ndcg@10", seed: int = 0) -> list[dict[str, Any]]:
    """Each run against the one named before it: paired difference, 95 % bootstrap interval, p corrected for their number."""
    names = list(runs)
    found: list[dict[str, Any]] = []
    for before, after in pairwise(names):
        c = compare([r.scores[metric] for r in runs[after]], [r.scores[metric] for r in runs[before]], seed)
        found.append(
            {"run": after, "against": before, "metric": metric, "difference": c.difference, "low": c.low, "high": c.high, "p": c.p, "n": c.n}
        )  # fmt: skip
    for row, p in zip(found, holm([f["p"] for f in found]), strict=True):
        row["p_corrected"] = p
    return found


def failures(queries: Sequence[Query], runs: Mapping[str, Sequence[Ranked]], most: int = 25) -> list[dict[str, Any]]:
    """The questions that the last run answers worst: where each run has the first relevant document (None: not found)."""
    last = runs[list(runs)[-1]]
    order = sorted(range(len(queries)), key=lambda i: (last[i].scores["ndcg@10"], queries[i].id))
    return [
        {
            "query": queries[i].id,
            "text": queries[i].text,
            "relevant": sorted(queries[i].relevant),
            "ndcg@10": last[i].scores["ndcg@10"],
            "found": list(last[i].documents[:5]),
            "first_relevant": {name: _first(queries[i], of[i].documents) for name, of in runs.items()},
        }
        for i in order[:most]
        if last[i].scores["ndcg@10"] < 1.0
    ]


def _first(query: Query, documents: Sequence[str]) -> int | None:
    return next((place for place, d in enumerate(documents, 1) if d in query.relevant), None)


def run_all(
    queries: Sequence[Query], engines: Mapping[str, Engine], progress: Callable[[int], None]
) -> dict[str, list[Ranked]]:
    """Run name -> a Ranked for each question."""
    every = max(1, len(queries) // TIMINGS)
    found: dict[str, list[Ranked]] = {}
    for name, engine in engines.items():
        rankings = {}
        for number, query in enumerate(queries):
            rankings[query.id] = engine.rank(query, timed=number % every == 0)
            progress(1)
        found[name] = score(queries, rankings)
    return found


def parse_runs(text: str) -> tuple[str, ...]:
    """The names of the runs, in their order. Raises UsageError for none and for one named twice."""
    names = tuple(n.strip() for n in text.split(",") if n.strip())
    if not names or len(set(names)) != len(names):
        raise UsageError(f"--runs {text!r}: name each run once, e.g. bm25,dense,hybrid,rerank")
    return names


def unknown(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Parts of run names ("bm25+e5") that are no list of the collection."""
    known = set(known)
    return [p for n in names for p in n.split("+") if p not in known]
