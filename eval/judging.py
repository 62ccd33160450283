"""A local model as a second opinion on correctness: schema-bound, asked more than once, reported with its agreement and coverage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from eval.given import Given, scores
from eval.golden import GoldenQuestion
from eval.verdicts import METRIC
from rag.protocols import Generator
from rag.types import Message, TextDelta

REPEATS = 3
SCHEMA = {"type": "object", "properties": {"correct": {"type": "boolean"}}, "required": ["correct"]}
_ASK = {
    "en": "Question: {q}\nCorrect answer: {gold}\nGiven answer: {said}\nDoes the given answer say the same as the correct answer?",
    "zh": "问题：{q}\n正确答案：{gold}\n给出的答案：{said}\n给出的答案与正确答案意思一致吗？",
}


def judged(
    questions: Sequence[GoldenQuestion], given: Mapping[str, Mapping[str, Given]], generator: Generator, seed: int
) -> dict[str, Any]:
    """Per arm: share judged correct, coverage (answers on which the repeats agree and which could be judged at all), agreement
    with the measured correctness (raw and Cohen's kappa). Refusals and unanswerable questions are not judged."""
    found = {}
    for arm, answers in given.items():
        chosen = [(q, answers[q.id]) for q in questions if q.answerable and answers[q.id].status == "answered"]
        votes = [_vote(q, g, generator, seed) for q, g in chosen]
        sure = [(v, scores(q, g)[METRIC] >= 1) for v, (q, g) in zip(votes, chosen, strict=True) if v is not None]
        same = sum(v == measured for v, measured in sure)
        found[arm] = {
            "asked": len(chosen),
            "coverage": len(sure) / len(chosen) if chosen else None,
            "correct": sum(v for v, _ in sure) / len(sure) if sure else None,
            "agreement": same / len(sure) if sure else None,
            "kappa": _kappa(sure),
        }
    return {"model": generator.name, "repeats": REPEATS, "arms": found}


def _vote(q: GoldenQuestion, g: Given, generator: Generator, seed: int) -> bool | None:
    """What all repeats say, None when they differ or one is no JSON."""
    prompt = _ASK["zh" if q.lang == "zh" else "en"].format(q=q.question, gold=q.reference[0], said=g.text[:600])
    votes = set()
    for repeat in range(REPEATS):
        parts = [
            event.text
            for event in generator.stream(
                [Message("user", prompt)],
                max_tokens=16,
                temperature=0.7 if repeat else 0.0,
                seed=seed + repeat,
                schema=SCHEMA,
            )
            if isinstance(event, TextDelta)
        ]
        try:
            votes.add(bool(json.loads("".join(parts))["correct"]))
        except (json.JSONDecodeError, KeyError, TypeError):
            return None
    return votes.pop() if len(votes) == 1 else None


def _kappa(pairs: Sequence[tuple[bool, bool]]) -> float | None:
    """Cohen's kappa (1960); None when one side never varies."""
    n = len(pairs)
    if n == 0:
        return None
    observed = sum(a == b for a, b in pairs) / n
    a, b = sum(x for x, _ in pairs) / n, sum(y for _, y in pairs) / n
    chance = a * b + (1 - a) * (1 - b)
    return None if chance == 1 else (observed - chance) / (1 - chance)
