"""Scores of different lists on one scale."""

from __future__ import annotations

import numpy as np
import pytest

from rag.index.ranking import Ranking
from rag.retrieval import fusion
from rag.retrieval.pool import Pool, Signal


def signal(listed: dict[int, float], exact: list[float]) -> Signal:
    ids = np.array(list(listed), np.int64)
    return Signal(Ranking(ids, np.array(list(listed.values()), np.float32)), np.array(exact, np.float32))


def test_a_signal_is_standardised_over_its_own_list() -> None:
    s = signal({1: 3.0, 2: 1.0}, [3.0, 1.0])  # mean 2, deviation 1
    assert fusion.standardised(s, rows=2) == pytest.approx([1.0, -1.0], abs=1e-5)


def test_a_short_keyword_list_counts_as_filled_up_with_zeros() -> None:
    s = signal({1: 4.0}, [4.0])  # 4, 0, 0, 0: mean 1, deviation sqrt(3)
    assert fusion.standardised(s, rows=4) == pytest.approx([3 / 3**0.5], abs=1e-5)


def test_what_a_list_does_not_hold_stays_unknown() -> None:
    s = signal({1: 3.0, 2: 1.0}, [3.0, float("nan")])
    assert np.isnan(fusion.standardised(s, rows=2)[1])


def test_nothing_is_worse_than_the_floor() -> None:
    s = signal({1: 1.1, 2: 1.0, 3: 1.05}, [-50.0])
    assert fusion.standardised(s, rows=3)[0] == fusion.FLOOR


def test_a_candidate_that_one_field_lacks_is_judged_by_the_others() -> None:
    nan = float("nan")
    pool = Pool(
        np.array([1, 2]),
        {"own": signal({1: 3.0, 2: 1.0}, [3.0, nan]), "all": signal({1: 1.0, 2: 3.0}, [1.0, 3.0])},
        rows=2,
    )
    weights = fusion.Weights(keyword=1, own=1, across=1)
    found = fusion.dense(pool, {"own": ("zh",), "all": ("*",)}, weights)
    assert found == pytest.approx([0.0, 1.0], abs=1e-5)


def test_reciprocal_ranks_by_hand() -> None:
    pool = Pool(
        np.array([1, 2, 3]),
        {"a": signal({1: 9, 2: 8}, [9, 8, 0]), "b": signal({2: 0.9, 3: 0.8}, [0, 0.9, 0.8])},
        rows=3,
    )
    assert fusion.reciprocal_ranks(pool) == pytest.approx([1 / 61, 1 / 62 + 1 / 61, 1 / 62], abs=1e-6)


def test_keyword_scores_alone_are_the_fusion_when_no_field_was_asked() -> None:
    pool = Pool(np.array([1, 2]), {"keyword": signal({1: 3.0, 2: 1.0}, [3.0, 1.0])}, rows=2)
    assert fusion.weighted(pool, {}, "en", np.zeros(2, bool)) == pytest.approx([1.0, -1.0], abs=1e-5)
