"""Texts of different lengths into batches."""

from hypothesis import given
from hypothesis import strategies as st

from rag.models.batching import batches


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
