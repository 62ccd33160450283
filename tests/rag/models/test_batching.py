"""Texts of different lengths into batches."""

from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.models.batching import batches, side_by_side


def test_rows_of_like_length_share_a_batch_longest_first() -> None:
    assert batches([1, 9, 2, 10], 20) == [[3, 1], [2, 0]]


def test_a_row_longer_than_the_budget_goes_alone() -> None:
    assert batches([50, 3], 10) == [[0], [1]]


def test_equal_rows_keep_their_order() -> None:
    assert batches([4, 4, 4], 8) == [[0, 1], [2]]


@given(st.lists(st.integers(1, 600), max_size=60), st.integers(1, 2000))
def test_every_row_once_and_no_batch_over_the_budget(lengths: list[int], budget: int) -> None:
    out = batches(lengths, budget)
    assert sorted(i for rows in out for i in rows) == list(range(len(lengths)))
    for rows in out:
        assert len(rows) == 1 or len(rows) * max(lengths[i] for i in rows) <= budget


def test_side_by_side_gives_results_in_order_and_begins_no_more_than_it_may() -> None:
    begun: list[int] = []
    together = Barrier(2)

    def work(item: int) -> int:
        begun.append(item)
        if item < 2:
            together.wait(10)  # breaks unless the first two run at once
        return item * 10

    results = side_by_side(work, iter(range(9)), 2)
    assert next(results) == 0
    assert max(begun) <= 2  # two lanes and one more
    assert list(results) == [10, 20, 30, 40, 50, 60, 70, 80]


def test_an_exception_comes_up_in_the_place_of_its_result() -> None:
    results = side_by_side(lambda item: 1 // item, [1, 0, 1], 2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
