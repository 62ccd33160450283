"""Fits the weights of the built-in reranker: `python -m tests.bench.rerank_weights DATASET... [--limit 250]`. See docs/bench/retrieval.md.

DATASET are BEIR-style folders of one language. Every question's 20 best candidates come from the service's own retriever; the weights are
found by a seeded random walk on nDCG@10, with a small price on each weight. Reported are the halves (fitted on even questions, measured on odd ones and
the other way round) and every set left out in turn; what `rag/retrieval/signals.py` has is the fit on all of them.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.dataset_collection import collection_of
from eval.datasets import Query, queries
from rag.retrieval.query import Query as Searched
from rag.retrieval.reranking import NoReranking
from rag.retrieval.retriever import HybridRetriever
from rag.retrieval.signals import NAMES, Head, columns, standard
from rag.settings import Settings
from rag.types import SearchRequest
from rag.wiring import Services

STEPS = 200
PRICE = 0.004  # of a weight of 1


@dataclass(frozen=True, eq=False)
class Judged:
    """One question: signals (n, signals) of its candidates, their documents, and the grades."""

    signals: np.ndarray
    documents: tuple[str, ...]
    query: Query


class Recorder(NoReranking):
    """Keeps what a reranker would have seen."""

    def __init__(self) -> None:
        self.head: Head | None = None

    def scores(self, query: Searched, head: Head) -> None:
        self.head = head


def judged(dataset: Path, limit: int, settings: Settings) -> list[Judged]:
    """The questions of a set with their candidates."""
    found = []
    with Services(settings.with_changes(collection=collection_of(dataset, settings))) as services:
        recorder = Recorder()
        retriever = HybridRetriever(services.collection(), services.fields(), services.settings, reranking=recorder)
        paths = {i.document: i.path for i in services.collection().snapshot().documents()}
        for q in queries(dataset, limit):
            recorder.head = None
            retriever.search(SearchRequest(q.text))
            if recorder.head is not None:
                signals = np.stack([standard(c) for c in columns(recorder.head)], axis=1)
                found.append(Judged(signals, tuple(paths[c.document] for c in recorder.head.chunks), q))
    return found


def ndcg(j: Judged, weights: np.ndarray) -> float:
    """nDCG@10 of the candidates in the order of the weighted signals."""
    order = np.argsort(-(j.signals @ weights), kind="stable")
    documents = list(dict.fromkeys(j.documents[i] for i in order))[:10]
    discount = 1 / np.log2(np.arange(2, 12))
    gains = np.array([j.query.relevant.get(d, 0) for d in documents])
    ideal = np.array(sorted(j.query.relevant.values(), reverse=True)[:10])
    return float((gains * discount[: len(gains)]).sum() / (ideal * discount[: len(ideal)]).sum())


def mean(of: list[Judged], weights: np.ndarray) -> float:
    return float(np.mean([ndcg(j, weights) for j in of]))


def fit(sets: list[list[Judged]], seed: int = 0) -> np.ndarray:
    """Weights; that of the fused score stays 1."""
    rng = np.random.default_rng(seed)
    fused = np.eye(len(NAMES))[-1]
    before = [mean(of, fused) for of in sets]

    def worth(weights: np.ndarray) -> float:
        # A set that is almost solved has less to gain, so its points count more.
        gains = [(mean(of, weights) - b) / (1.1 - b) for of, b in zip(sets, before, strict=True)]
        return float(sum(gains)) - PRICE * float(np.abs(weights[:-1]).sum())

    best, reached = fused, 0.0
    for _ in range(STEPS):
        tried = best.copy()
        at = int(rng.integers(0, len(NAMES) - 1))
        tried[at] = max(0.0, tried[at] + rng.normal() * 0.25)
        if (value := worth(tried)) > reached + 1e-6:
            best, reached = tried, value
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, default=250)
    args = parser.parse_args()
    settings = Settings.load()
    sets = {d.resolve().name: judged(d, args.limit, settings) for d in args.datasets}
    fused = np.eye(len(NAMES))[-1]
    say = sys.stdout.write
    for half in (0, 1):
        weights = fit([of[half::2] for of in sets.values()])
        for name, of in sets.items():
            rest = of[1 - half :: 2]
            say(
                f"fitted on half {half}, measured on the other: {name} {mean(rest, fused):.4f} -> {mean(rest, weights):.4f}, n {len(rest)}\n"
            )
    for name, of in sets.items() if len(sets) > 1 else ():
        weights = fit([other for n, other in sets.items() if n != name])
        say(f"fitted without {name}: {mean(of, fused):.4f} -> {mean(of, weights):.4f}, n {len(of)}\n")
    weights = fit(list(sets.values()))
    say("all: " + ", ".join(f"{n} {w:.2f}" for n, w in zip(NAMES, weights, strict=True)) + "\n")


if __name__ == "__main__":
    main()
