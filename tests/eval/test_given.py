"""What an answer scores."""

from __future__ import annotations

import pytest

from eval.given import Given, given_from, ratios, scores
from eval.golden import GoldenQuestion
from eval.prompts import refuses

LEAVE = GoldenQuestion("1", "How many days?", ("23 days", "23"), documents=("policies/leave.md",))
NOTHING = GoldenQuestion("2", "Who is the king?", kind="unanswerable")


def test_a_right_answer_states_the_fact() -> None:
    found = scores(LEAVE, Given("rag", "1", "You get 23 days [1].", "answered"))
    assert (found["correct"], found["fact_recall"], found["exact_match"]) == (1.0, 1.0, 0.0)


def test_a_refusal_is_right_where_nothing_answers_and_wrong_elsewhere() -> None:
    refusal = Given("rag", "x", "I don't know. The nearest passage says 23 days.", "abstained")
    assert scores(NOTHING, refusal)["f1"] == 1.0
    assert scores(LEAVE, refusal)["correct"] == 0.0
    assert scores(NOTHING, Given("rag", "2", "Charles", "answered"))["correct"] == 0.0


def test_an_answer_that_was_right_once_is_outdated_unless_it_says_what_is_right_now() -> None:
    q = GoldenQuestion("1", "How many days?", ("26 days",), outdated=("23 days",))
    for text, outdated in (("23 days.", 1.0), ("26 days, 23 days until 2025.", 0.0), ("30 days.", 0.0)):
        assert scores(q, Given("rag", "1", text, "answered"))["outdated"] == outdated
    assert scores(q, Given("rag", "1", "", "abstained"))["outdated"] == 0.0


def test_refusal_precision_and_recall_count_questions() -> None:
    refusal = Given("rag", "1", "", "abstained")
    assert ratios(LEAVE, refusal)["refusal_precision"] == (0.0, 1.0)
    assert ratios(NOTHING, refusal)["refusal_recall"] == (1.0, 1.0)


def test_citations_are_right_by_document_whatever_the_root() -> None:
    given = Given("rag", "1", "23", "answered", cited=("leave.md", "b.md"), offered=("leave.md", "b.md"))
    found = ratios(LEAVE, given)
    assert found["citation_precision"] == (1.0, 2.0)
    assert found["citation_recall"] == (1.0, 1.0)


def test_an_answer_survives_its_file() -> None:
    given = Given("rag", "1", "23", "answered", cited=("a", "b"), verdicts=("supported",), total=1.5)
    assert given_from(given.record()) == given


@pytest.mark.parametrize(
    "text", ["I don't know.", "The documents do not say.", "我不知道。", "文件中没有提到。", " ", "抱歉，无法回答"]
)
def test_refusals_are_known(text: str) -> None:
    assert refuses(text)


@pytest.mark.parametrize("text", ["23 days", "The policy does not allow pets.", "无需审批", "不超过500元"])
def test_answers_are_no_refusals(text: str) -> None:
    assert not refuses(text)
