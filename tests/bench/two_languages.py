#!/usr/bin/env python3
"""Collections of two languages: a data set of them, and the weights that tell in which language an answer stands.

    python -m tests.bench.two_languages make ../shared/data/xquad_en ../shared/data/xquad_zh mixed/
    rag eval retrieval --dataset mixed/ --runs hybrid,rerank
    python -m tests.bench.two_languages fit default=corpus/golden NAME=mixed/

`make` reads two sets of the same passages and questions and writes one in which each passage is there in one language only, by chance; the
kind of a question is "own" where its answer stands in its own language and "other" where it does not. `fit` asks the questions of collections
(COLLECTION=QUESTIONS, questions of the kinds "other" and "cross-lingual" are those answered elsewhere), prints how well each feature and all
of them tell (area under the ROC curve), and the weights of rag/retrieval/other_language.py: every collection counts the same, and the
bias is the middle between theirs.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.golden import read_questions
from rag.generation.calibration import logistic
from rag.retrieval.late_interaction import LateInteraction
from rag.retrieval.query import Query
from rag.retrieval.reranking import Rescored, SignalReranking, leads, open_reranking
from rag.retrieval.retriever import HybridRetriever
from rag.retrieval.signals import Head
from rag.settings import Settings
from rag.types import SearchRequest
from rag.wiring import Services
from tests.bench.context_bench import read
from tests.bench.refusal_bench import auc

ELSEWHERE = ("other", "cross-lingual")
RIDGE = 0.002
Rows = list[tuple[tuple[float, float, float], bool]]


def make(sources: list[Path], out: Path, limit: int, seed: int) -> None:
    """Writes the set of two languages."""
    chance = random.Random(seed)
    corpora = [{d["id"]: d for d in read(s / "corpus.jsonl")} for s in sources]
    side = {i: chance.randrange(2) for i in corpora[0] if i in corpora[1]}
    gold = dict(
        line.split("\t")[:2] for line in (sources[0] / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]
    )
    questions: list[dict[str, Any]] = []
    for n, source in enumerate(sources):
        asked = [q for q in read(source / "queries.jsonl") if gold.get(q["id"]) in side]
        chance.shuffle(asked)
        for q in asked[:limit]:
            kind = "own" if side[gold[q["id"]]] == n else "other"
            questions.append(q | {"id": f"{q['id']}-{n}", "kind": kind})
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "corpus.jsonl", [corpora[n][i] for i, n in side.items()])
    _write(out / "queries.jsonl", questions)
    lines = [f"{q['id']}\t{gold[q['id'].rsplit('-', 1)[0]]}\t1" for q in questions]
    (out / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]) + "\n", encoding="utf-8")


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")


class Watching:
    """Leaves the ranking as it is and notes the features of a search."""

    notes: tuple[str, ...] = ()
    each_language = True

    def __init__(self, late: LateInteraction) -> None:
        self.seen: tuple[str, tuple[float, float, float]] | None = None
        self._late = late

    def scores(self, query: Query, head: Head) -> Rescored | None:
        """None."""
        foreign = np.array([c.language != query.language for c in head.chunks])
        words = self._late.similarities(query.text, head.chunks, head.codes)
        self.seen = (query.language, leads(head, words, foreign))
        return None


def collect(collection: str, questions: Path) -> dict[str, Rows]:
    """Language -> features of its questions, and whether they are answered in another one."""
    found: dict[str, Rows] = defaultdict(list)
    with Services(Settings.load(collection=collection)) as services:
        built_in = open_reranking(services.settings, services.fields())
        if not isinstance(built_in, SignalReranking) or built_in.late is None:
            raise SystemExit(f"{collection}: its embedders have no token codes")
        watching = Watching(built_in.late)
        retriever = HybridRetriever(services.collection(), services.fields(), services.settings, reranking=watching)
        for q in read_questions(questions):
            watching.seen = None
            retriever.search(SearchRequest(q.question))
            if q.answerable and watching.seen is not None and not np.isnan(watching.seen[1]).any():
                language, features = watching.seen
                found[language].append((features, q.kind in ELSEWHERE))
    return found


def fit(sets: list[dict[str, Rows]], language: str) -> None:
    """Prints the areas under the curve and the weights of one language."""
    x = [np.array([f for f, _ in rows[language]]) for rows in sets]
    y = [np.array([float(label) for _, label in rows[language]]) for rows in sets]
    for n, (features, label) in enumerate(zip(x, y, strict=True)):
        print(
            f"{language}, set {n + 1}, n {len(label)}: area under the curve",
            [round(auc(-f, label), 3) for f in features.T],
        )
    mean, deviation = np.concatenate(x).mean(axis=0), np.concatenate(x).std(axis=0)
    # One bias a set: how many of its questions are answered elsewhere is the set's own affair.
    member: NDArray[np.float64] = np.repeat(np.eye(len(x)), [len(v) for v in y], axis=0)
    copies = np.repeat(np.arange(len(member)), np.concatenate([[max(map(len, y)) // len(v)] * len(v) for v in y]))
    design = np.column_stack([(np.concatenate(x) - mean) / deviation, member])[copies]
    ridge = np.array([RIDGE * len(copies)] * 3 + [0.01] * len(x))
    w = logistic(design, np.concatenate(y)[copies], np.zeros(3 + len(x)), ridge)
    weights = w[:3] / deviation
    for n, (features, label) in enumerate(zip(x, y, strict=True)):
        print(f"   all three on set {n + 1}: {auc(features @ weights, label):.3f}")
    print("   weights", [*weights.round(1).tolist(), round(float(w[3:].mean() - weights @ mean), 1)])


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(dest="what", required=True)
    making = sub.add_parser("make")
    making.add_argument("sources", type=Path, nargs=2)
    making.add_argument("out", type=Path)
    making.add_argument("--limit", type=int, default=400, help="questions of each language")
    making.add_argument("--seed", type=int, default=3)
    fitting = sub.add_parser("fit")
    fitting.add_argument("sets", nargs="+", help="COLLECTION=QUESTIONS")
    args = ap.parse_args()
    if args.what == "make":
        make(args.sources, args.out, args.limit, args.seed)
        return
    sets = [collect(name, Path(questions)) for name, questions in (s.split("=", 1) for s in args.sets)]
    for language in ("zh", "en"):
        fit(sets, language)


if __name__ == "__main__":
    main()
