#!/usr/bin/env python3
"""Right answers and refusals over a collection, and what each signal of the refusal is worth.

    rag ingest corpus
    python tests/bench/batch_server.py --port 8123 &
    RAG_SOURCE_TOKENS=420 python -m tests.bench.refusal_bench --questions corpus/golden --generator openai:http://127.0.0.1:8123/v1#NAME --parallel 32

Every question is answered with nothing refused for want of confidence, and its signals are kept (`--keep FILE`, and it goes on there). Printed
are: right answers by kind; for each signal how well it alone tells right from wrong (area under the ROC curve); and for thresholds on the
confidence of the weights shipped, and of weights fitted to nine tenths and used on the tenth, right answers and questions without an answer that are refused, with
95 % Wilson intervals; last the weights fitted to all.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.golden import GoldenQuestion, read_questions
from eval.text_metrics import fact_recall
from rag.generation.answering import GroundedAnswerer
from rag.generation.answering import answer as drained
from rag.generation.calibration import Uncalibrated, logistic
from rag.generation.refusal import DEFAULT_BIAS, DEFAULT_WEIGHTS, Signals
from rag.generation.similarity import sentence_similarity
from rag.settings import Settings
from rag.types import AskRequest, SearchRequest
from rag.wiring import Services
from tests.bench.evidence_bench import wilson

Matrix = NDArray[np.float64]
RIDGE = 0.3
THRESHOLDS = (0.2, 0.25, 0.3, 0.4)


class Alone:
    """A generator without its memory: every question is answered as if it were the first, in whatever order they come."""

    def __init__(self, inner: Any) -> None:
        self.name, self.context_length = inner.name, inner.context_length
        self.count_tokens, self.stream, self.chance = inner.count_tokens, inner.stream, inner.chance
        self.check, self.close, self.keeps_prompts = inner.check, inner.close, inner.keeps_prompts


def ask(services: Services, question: GoldenQuestion) -> dict[str, Any]:
    """The answer to one question, whether it is right, and its signals."""
    seen: list[Signals] = []
    answerer = GroundedAnswerer(
        Uncalibrated(),
        services.retriever(),
        Alone(services.generator()),
        services.settings,
        similarity=sentence_similarity(services.fields().embedders),
        relevance=services.relevance(),
        on_signals=seen.append,
    )
    said = drained(answerer, AskRequest(SearchRequest(question.question)))
    return {
        "id": question.id,
        "kind": question.kind,
        "text": said.text if seen else "",  # the model itself may have refused
        "right": bool(seen) and question.answerable and fact_recall(said.text, question.facts) == 1.0,
        "signals": asdict(seen[0]) if seen else None,
    }


def collect(a: argparse.Namespace) -> list[dict[str, Any]]:
    """One row a question; those of `--keep` are not asked again."""
    known: dict[str, dict[str, Any]] = {}
    if a.keep and a.keep.is_file():
        known = {r["id"]: r for r in map(json.loads, a.keep.read_text(encoding="utf-8").splitlines())}
    settings = Settings.load(generator=a.generator) if a.generator else Settings.load()
    files = sorted(a.questions.glob("*.jsonl")) if a.questions.is_dir() else [a.questions]
    questions = [q for f in files for q in read_questions(f)]
    with Services(settings) as services, ThreadPoolExecutor(a.parallel) as pool:
        for row in pool.map(lambda q: ask(services, q), [q for q in questions if q.id not in known]):
            known[row["id"]] = row
            if a.keep:
                with a.keep.open("a", encoding="utf-8") as f:
                    f.write(json.dumps(row, ensure_ascii=False) + "\n")
    return [known[q.id] for q in questions]


def fitted(x: Matrix, y: Matrix) -> Matrix:
    """Weights and bias of a logistic regression with a ridge."""
    k = x.shape[1]
    ridge = np.array([RIDGE] * k + [0.01])
    return logistic(np.column_stack([x, np.ones(len(x))]), y, np.zeros(k + 1), ridge)


def confidence(x: Matrix, w: Matrix) -> Matrix:
    """(n,) chances of being right."""
    return np.asarray(1 / (1 + np.exp(-(x @ w[:-1] + w[-1]))))


def auc(scores: Matrix, right: Matrix) -> float:
    """Area under the ROC curve; ties count half."""
    good, bad = scores[right == 1], scores[right == 0]
    return float(np.mean((good[:, None] > bad) + 0.5 * (good[:, None] == bad)))


def share(hits: int, n: int) -> str:
    low, high = wilson(hits, n)
    return f"{hits} of {n} = {hits / max(n, 1):.1%} [{low:.1%}, {high:.1%}]"


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--questions", type=Path, default=Path("corpus/golden"))
    ap.add_argument("--generator", default="", help="a value of RAG_GENERATOR")
    ap.add_argument("--parallel", type=int, default=1)
    ap.add_argument("--keep", type=Path)
    rows = collect(ap.parse_args())
    kinds: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        kinds[row["kind"]].append(row["right"])
    for kind, right in kinds.items():
        if kind != "unanswerable":
            print(f"{kind}: right {share(sum(right), len(right))}")
    answerable = [r for r in rows if r["kind"] != "unanswerable"]
    nothing = [r for r in rows if r["kind"] == "unanswerable"]
    print(f"all with an answer: right, nothing refused, {share(sum(r['right'] for r in answerable), len(answerable))}")

    judged = [r for r in rows if r["signals"]]
    names = list(DEFAULT_WEIGHTS)
    x = np.array([[r["signals"][n] for n in names] for r in judged])
    y = np.array([float(r["right"]) for r in judged])
    for i, name in enumerate(names):
        print(f"{name}: area under the curve {auc(x[:, i], y):.3f}")
    sure = np.zeros(len(judged))
    fold = np.arange(len(judged)) % 10
    for k in range(10):
        sure[fold == k] = confidence(x[fold == k], fitted(x[fold != k], y[fold != k]))
    print(f"all, cross-validated: {auc(sure, y):.3f}")
    shipped = confidence(x, np.array([*DEFAULT_WEIGHTS.values(), DEFAULT_BIAS]))
    for which, scores in (("shipped weights", shipped), ("cross-validated", sure)):
        kept = {r["id"]: s for r, s in zip(judged, scores, strict=True)}
        for threshold in THRESHOLDS:
            right = sum(r["right"] and kept[r["id"]] >= threshold for r in answerable)
            refused = share(sum(kept.get(r["id"], -1.0) < threshold for r in nothing), len(nothing))
            print(f"{which}, threshold {threshold}: right {share(right, len(answerable))}; refused {refused}")
    w = fitted(x, y)
    print("weights", json.dumps(dict(zip([*names, "bias"], w.round(2).tolist(), strict=True))))


if __name__ == "__main__":
    main()
