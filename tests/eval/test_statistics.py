"""Intervals and tests, against closed forms and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from eval.statistics import compare, holm, interval, mcnemar, needed_n, randomisation, ratio_interval


def test_an_interval_holds_its_mean_and_narrows_with_n() -> None:
    few, many = interval([0, 1] * 10), interval([0, 1] * 1000)
    assert few.low <= few.mean == 0.5 <= few.high
    assert many.high - many.low < (few.high - few.low) / 5


def test_the_interval_of_a_mean_is_near_the_normal_one() -> None:
    x = np.random.default_rng(1).normal(size=400)
    found = interval(x)
    half = 1.96 * x.std(ddof=1) / 20
    assert found.low == pytest.approx(x.mean() - half, abs=0.02)
    assert found.high == pytest.approx(x.mean() + half, abs=0.02)


def test_the_same_seed_gives_the_same_interval() -> None:
    assert interval([0, 1, 1], 5) == interval([0, 1, 1], 5)


def test_a_constant_has_no_width() -> None:
    found = interval([0.1] * 7)
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.1))
    assert found.low <= found.mean <= found.high


def test_all_right_or_all_wrong_is_no_certainty() -> None:
    # Wilson's interval for 0 of 10: its upper bound is 1.96^2 / (10 + 1.96^2).
    assert interval([0] * 10).high == pytest.approx(0.2775, abs=1e-4)
    assert interval([1] * 10).low == pytest.approx(0.7225, abs=1e-4)
    always = compare([1] * 10, [0] * 10)
    assert (always.difference, always.high) == (1.0, 1.0)
    assert always.low == pytest.approx(0.7225, abs=1e-4)


def test_nothing_measured_is_nan_and_n_zero() -> None:
    found = interval([])
    assert math.isnan(found.mean)
    assert found.n == 0


def test_ratios_weigh_questions_by_their_wholes() -> None:
    found = ratio_interval([1, 0, 3], [1, 1, 4])
    assert found.mean == pytest.approx(4 / 6)
    assert found.n == 6


def test_mcnemar_is_the_binomial_test_on_discordant_pairs() -> None:
    a = np.array([1] * 9 + [0] * 1 + [1] * 5, float)
    b = np.array([0] * 9 + [1] * 1 + [1] * 5, float)
    assert mcnemar(a, b) == pytest.approx(stats.binomtest(9, 10).pvalue)
    assert mcnemar(a, a) == 1.0


def test_randomisation_enumerates_small_samples() -> None:
    # Of the 8 sign patterns of three equal differences only +++ and --- reach the observed sum.
    assert randomisation(np.array([0.2, 0.2, 0.2])) == pytest.approx(0.25)


def test_randomisation_agrees_with_scipy_on_large_samples() -> None:
    d = np.random.default_rng(3).normal(0.3, 1, size=60)
    theirs = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=9999, rng=1).pvalue
    assert randomisation(d) == pytest.approx(theirs, abs=0.02)


def test_holm_multiplies_the_smallest_most_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03]) == [pytest.approx(0.03), pytest.approx(0.06), pytest.approx(0.06)]
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_needed_n_is_that_of_the_power_formula() -> None:
    d = np.array([1.0, 0.0] * 50)  # mean 0.5, sd about 0.5025 -> (2.8016 * 1.005)^2 = 7.93
    assert needed_n(d) == 8
    assert needed_n(np.zeros(10)) is None


def test_a_comparison_is_paired() -> None:
    found = compare([1, 1, 0, 1], [0, 1, 0, 0])
    assert (found.a, found.b, found.difference, found.n) == (0.75, 0.25, 0.5, 4)
    assert found.low <= 0.5 <= found.high
    with pytest.raises(ValueError, match="pairs are needed"):
        compare([1], [1, 0])
