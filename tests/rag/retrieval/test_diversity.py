"""No repeats: versions, copies, crowds."""

from __future__ import annotations

import numpy as np
import pytest

from rag.retrieval.diversity import PER_DOCUMENT, Candidate, asks_for_old, copies, crowded, newest

TEXT = "Every employee has thirty days of paid annual leave, taken after agreement with the team lead."


def candidates(*facts: tuple[str, str, str]) -> list[Candidate]:
    return [Candidate(i, document, text, date) for i, (document, text, date) in enumerate(facts)]


def all_near(n: int) -> np.ndarray:
    return np.ones((n, n), bool)


def test_of_two_copies_the_newest_stays() -> None:
    found = copies(candidates(("old", TEXT, "2024-01-01"), ("new", TEXT + "!", "2026-01-01")), all_near(2))
    assert [(d.position, d.reason, d.by) for d in found] == [(0, "duplicate", "new")]


def test_of_equally_old_copies_the_first_ranked_stays() -> None:
    found = copies(candidates(("a", TEXT, ""), ("b", TEXT, "")), all_near(2))
    assert [(d.position, d.by) for d in found] == [(1, "a")]


def test_texts_that_differ_in_a_number_are_no_copies() -> None:
    long = TEXT * 4
    found = copies(candidates(("a", f"{long} 900 hours", ""), ("b", f"{long} 910 hours", "")), all_near(2))
    assert found == []


def test_pairs_whose_vectors_are_far_apart_are_not_compared() -> None:
    assert copies(candidates(("a", TEXT, ""), ("b", TEXT, "")), np.zeros((2, 2), bool)) == []


def test_a_document_does_not_fill_the_list_while_others_are_left() -> None:
    many = candidates(*[("a", str(i), "") for i in range(6)], *[("b", str(i), "") for i in range(4)])
    dropped = {d.position for d in crowded(many, k=6)}
    assert dropped == {3, 4, 5, 9}
    assert PER_DOCUMENT == 3


def test_a_document_fills_the_list_when_it_is_alone() -> None:
    assert crowded(candidates(*[("a", str(i), "") for i in range(6)]), k=6) == []


def test_a_chain_of_versions_ends_at_the_newest() -> None:
    chain = {"2022": "2024", "2024": "2026"}
    assert newest("2022", chain.get) == "2026"


def test_a_ring_of_versions_ends() -> None:
    assert newest("a", {"a": "b", "b": "a"}.get) == "b"


@pytest.mark.parametrize(
    ("question", "asks"),
    [("leave in the 2024 policy", True), ("leave in the 2026 policy", False), ("how much leave", False)],
)
def test_a_question_can_ask_for_the_old_version(question: str, asks: bool) -> None:
    assert asks_for_old(question, "policies/leave-2024.md", "policies/leave-2026.md") is asks
