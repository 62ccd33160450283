"""Calibration: the curve by hand, the fit on signals that separate, and the trials with a document hidden."""

from __future__ import annotations

import random
from typing import Any

import pytest

from rag.errors import UsageError
from rag.generation.calibration import Question, Trial, fit, risk_coverage, try_questions
from rag.generation.refusal import Signals, confidence_of, threshold_of
from rag.settings import Settings

from .sample import HITS, Found, Scripted, Shelf


def test_the_curve_counts_answered_and_wrong_at_each_threshold() -> None:
    curve = risk_coverage([0.9, 0.6, 0.3], [True, True, False], asked=4)
    assert [(p["threshold"], p["coverage"], p["wrong"]) for p in curve] == [
        (0.3, 0.75, pytest.approx(1 / 3)),
        (0.6, 0.5, 0.0),
        (0.9, 0.25, 0.0),
    ]


def _trials(n: int) -> list[Trial]:
    rng = random.Random(3)
    made = []
    for _ in range(n):
        right = rng.random() < 0.5
        signals = Signals(0.9 if right else 0.3, 1.0 if right else 0.0, 0.0)
        made.append(Trial(right, True, right, signals))
    return made


def test_a_fit_on_separable_answers_refuses_the_wrong_ones() -> None:
    fitted = fit(_trials(60))
    good, bad = (confidence_of(Signals(c, s, 0.0), fitted) for c, s in ((0.9, 1.0), (0.3, 0.0)))
    assert good > threshold_of(fitted, 0.0) > bad
    assert threshold_of(fitted, 0.05) <= good


def test_a_limit_that_no_threshold_keeps_refuses_everything() -> None:
    assert threshold_of({"curve": [{"threshold": 0.4, "wrong": 0.5}], "threshold": 0.4}, 0.01) == 1.0


def test_too_few_answers_are_refused() -> None:
    with pytest.raises(UsageError, match="too few"):
        fit(_trials(5))


def test_each_question_is_asked_with_and_without_its_document() -> None:
    question = Question("What is the hotel limit in Oslo?", HITS[1].chunk)
    shelf: Any = Shelf()
    model = Scripted("The hotel limit in Oslo is 2,150 kroner a night [1].")
    trials = try_questions([question], shelf, Found(), model, Settings())
    assert [(t.answerable, t.right) for t in trials] == [(True, True), (False, False)]
    assert "2,150" in model.asked[0][1].content and "2,150" not in model.asked[1][1].content
