"""Answers to a report: figures with intervals, per arm and kind, verdicts, failures. Pure: dictionaries that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval.given import Given, ratios, scores
from eval.golden import GoldenQuestion, fingerprint
from eval.kinds import by_kind
from eval.statistics import Interval, interval, ratio_interval
from eval.verdicts import METRIC, judge

TIMED = ("latency", "first_token", "memory")  # prefixes of the figures that differ from run to run
EXAMPLES = 3  # of each kind of failure


def report(
    questions: Sequence[GoldenQuestion],
    given: Mapping[str, Mapping[str, Given]],
    tags: Mapping[str, Sequence[str]],
    seed: int,
    *,
    attributed: Mapping[str, str],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """The report of a run. `given`: arm -> question id -> answer; `tags`: question id -> kinds; `attributed`: question id -> step
    that lost the `rag` arm's wrong answer; `about`: settings, hashes, machine, costs, notes, put in as they are."""
    kinds = by_kind(tags)
    scored = {arm: {q.id: scores(q, answers[q.id]) for q in questions} for arm, answers in given.items()}
    arms = {
        arm: {
            "metrics": _metrics(questions, answers, scored[arm], seed),
            "kinds": {
                kind: _metrics([q for q in questions if q.id in set(ids)], answers, scored[arm], seed)
                for kind, ids in kinds.items()
                if kind != "all"
            },
        }
        for arm, answers in given.items()
    }
    values = {arm: {i: s[METRIC] for i, s in of.items()} for arm, of in scored.items()}
    verdicts = judge(values, kinds, seed)
    return {
        "what": "answers",
        "questions": {
            "n": len(questions),
            "sha256": fingerprint(questions),
            "kinds": {kind: len(ids) for kind, ids in kinds.items()},
        },
        "seed": seed,
        "arms": arms,
        "verdicts": [
            {"kind": v.kind, "better": v.better, "text": v.text, "text_zh": v.text_zh, "arms": [v.first, v.second]}
            | {"p": v.result.p, "p_corrected": v.p_corrected, "difference": v.result.difference}
            | {"low": v.result.low, "high": v.result.high, "n": v.result.n, "needed_n": v.result.needed}
            for v in verdicts
        ],
        "correct": {arm: {i: int(v) for i, v in of.items()} for arm, of in values.items()},
        "failures": _failures(questions, given, scored, attributed),
        **about,
    }


def _metrics(
    questions: Sequence[GoldenQuestion],
    answers: Mapping[str, Given],
    scored: Mapping[str, Mapping[str, float]],
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Metric -> {mean, low, high, n}; a metric that no answer has is left out."""
    rows = [scored[q.id] for q in questions]
    names = dict.fromkeys(name for row in rows for name in row)
    found = {name: _figure(interval([row[name] for row in rows if name in row], seed)) for name in names}
    parts: dict[str, list[tuple[float, float]]] = {}
    for q in questions:
        for name, pair in ratios(q, answers[q.id]).items():
            parts.setdefault(name, []).append(pair)
    for name, pairs in parts.items():
        figure = ratio_interval([p for p, _ in pairs], [w for _, w in pairs], seed)
        if figure.n:
            found[name] = _figure(figure)
    seconds = [row["latency"] for row in rows]
    for name, share in (("latency_p50", 50), ("latency_p95", 95)):
        if seconds:
            found[name] = _quantile(seconds, share, seed)
    return found


def _quantile(values: Sequence[float], share: int, seed: int) -> dict[str, Any]:
    """A percentile with its bootstrap interval."""
    x = np.asarray(values)
    picks = np.random.default_rng(seed).integers(0, x.size, size=(1000, x.size))
    low, high = np.percentile(np.percentile(x[picks], share, axis=1), [2.5, 97.5])
    middle = float(np.percentile(x, share))
    return _figure(Interval(middle, min(middle, float(low)), max(middle, float(high)), int(x.size)))


def _figure(i: Interval) -> dict[str, Any]:
    return {"mean": _round(i.mean), "low": _round(i.low), "high": _round(i.high), "n": i.n}


def _round(x: float) -> float | None:
    return None if math.isnan(x) else round(x, 6)


def _failures(
    questions: Sequence[GoldenQuestion],
    given: Mapping[str, Mapping[str, Given]],
    scored: Mapping[str, Mapping[str, Mapping[str, float]]],
    attributed: Mapping[str, str],
) -> dict[str, Any]:
    """How many answers each step lost, and examples: of each step for the rag arm, the first wrong ones for the others."""
    from eval.attribution import count

    examples: list[dict[str, Any]] = []
    by_id = {q.id: q for q in questions}

    def example(arm: str, i: str, step: str) -> dict[str, Any]:
        q, g = by_id[i], given[arm][i]
        return {
            "arm": arm,
            "step": step,
            "id": i,
            "question": q.question,
            "expected": list(q.reference[:1]) if q.answerable else [],
            "said": g.text[:400],
            "status": g.status,
            "offered": list(g.offered[:5]),
            "gold": list(q.documents),
        }

    for step in count(attributed):
        ids = [i for i, s in attributed.items() if s == step][:EXAMPLES]
        examples += [example("rag", i, step) for i in ids]
    for arm in given:
        if arm != "rag":
            wrong = [q.id for q in questions if scored[arm][q.id][METRIC] < 1][:EXAMPLES]
            examples += [example(arm, i, "") for i in wrong]
    return {"rag": count(attributed), "steps": dict(attributed), "examples": examples}


def timeless(found: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that the same seed must give again: arm -> metric -> mean, times and memory left out."""
    return {
        arm: {m: v["mean"] for m, v in of["metrics"].items() if not m.startswith(TIMED)}
        for arm, of in found["arms"].items()
    }
