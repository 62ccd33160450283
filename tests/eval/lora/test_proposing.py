"""The checks that a proposed pair must pass, and the near misses."""

from __future__ import annotations

import io

import pytest

from eval.lora.examples import Example
from eval.lora.proposing import near_miss, problem
from eval.lora.reviewing import review
from rag.types import Chunk

TEXT = "Staff in grade 4 get 23 days of annual leave. 差旅住宿每晚上限为600元。"
GOOD = Example(
    "How much annual leave does grade 4 get?", "", "23 days", evidence="Staff in grade 4 get 23 days of annual leave."
)


def test_a_pair_that_the_text_bears_out_is_kept() -> None:
    assert problem(GOOD, TEXT) == ""
    assert problem(Example("住宿每晚最多报多少？", "", "600元", evidence="差旅住宿每晚上限为600元。"), TEXT) == ""


@pytest.mark.parametrize(
    ("question", "answer", "evidence", "reason"),
    [
        ("How much?", "25 days", "Staff get 25 days of annual leave.", "does not stand in the text"),
        ("How much?", "25 days", "Staff in grade 4 get 23 days", "not stand in the evidence"),
        ("Do staff get 23 days?", "23 days", "Staff in grade 4 get 23 days", "gives the answer away"),
        ("What does the text say of grade 4?", "23 days", "Staff in grade 4 get 23 days", "needs the text"),
        ("", "23 days", "Staff in grade 4 get 23 days", "empty"),
    ],
)
def test_other_pairs_are_dropped_for_their_reason(question: str, answer: str, evidence: str, reason: str) -> None:
    assert reason in problem(Example(question, "", answer, evidence=evidence), TEXT)


def test_a_near_miss_asks_for_a_number_that_the_text_does_not_have() -> None:
    chunk = Chunk(1, "d", TEXT, (0, len(TEXT)))
    miss = near_miss(GOOD, chunk)
    assert miss is not None
    assert miss.instruction == "How much annual leave does grade 11 get?"
    assert (miss.kind, miss.output) == ("unanswerable", "I don't know.")


def test_a_person_accepts_edits_rejects_and_stops() -> None:
    four = [Example(f"q{i}", "", f"a{i}", id=str(i)) for i in range(4)]
    answers = io.StringIO("a\nr\ne\nbetter\na\ns\n")
    kept = review(four, answers, io.StringIO())
    assert [(e.id, e.output) for e in kept] == [("0", "a0"), ("2", "better")]
