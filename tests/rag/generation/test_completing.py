"""Parts of a question that an answer leaves out, quoted from the sources."""

from __future__ import annotations

import pytest

from rag.generation.completing import left_out
from rag.types import AnswerDone, AskRequest, SearchRequest, TextDelta

from .sample import HITS, answerer, ask, hit

PRICES = hit(
    4,
    "| Part | Description | Price 2026 (EUR) |\n| --- | --- | --- |\n| L6-DR3 | Driver for Firefly L6 | 145 |\n| L6-LN1 | Lens | 12 |",
    "Price list",
)
MANUAL = hit(5, "A Firefly L6 with a broken driver gets the replacement driver L6-DR3. Switch it off first.", "Manual")
TRADE = hit(
    6,
    "For a working Heron C3 that is traded in we deduct 120 euro. The trade-in is not combined with the quantity discount.",
    "Trade-in",
)
SOURCES = (*HITS, MANUAL, PRICES, TRADE)
PART = "What is the part number of the replacement driver for a Firefly L6, and its 2026 price?"


def test_the_price_of_the_part_that_the_answer_names_is_quoted_from_another_document() -> None:
    said = ask(PART, "L6-DR3 [1]", SOURCES)
    assert said.text.splitlines()[1].startswith("Its 2026 price: “L6-DR3 | Driver for Firefly L6 | 145” [")
    last = said.citations[-1]
    assert last.path == "Price list.md" and last.quote == "| L6-DR3 | Driver for Firefly L6 | 145 |"
    assert said.hits[last.n - 1].chunk.text[slice(*last.span)] == last.quote
    sentence = said.sentences[-1]
    assert sentence.verdict == "supported" and sentence.citations == (last.n,)
    assert said.text[slice(*sentence.span)] == sentence.text


def test_what_is_quoted_comes_in_the_stream_as_well() -> None:
    *deltas, done = answerer("L6-DR3 [1]", SOURCES).stream(AskRequest(SearchRequest(PART)))
    assert isinstance(done, AnswerDone) and isinstance(deltas[-1], TextDelta)
    assert done.answer.text.endswith(deltas[-1].text) and "145" in deltas[-1].text


def test_a_yes_or_no_is_quoted_and_not_the_figure_that_was_given() -> None:
    question = "A grower trades in a Heron C3. How much do we deduct, and is it combined with the quantity discount?"
    said = ask(question, "120 euro [1]", SOURCES)
    assert said.text.splitlines()[1:] == [
        "Is it combined with the quantity discount: “The trade-in is not combined with the quantity discount.” "
        f"[{said.citations[-1].n}]"
    ]


def test_a_second_sentence_of_a_cited_source_has_a_number_and_a_quote_of_its_own() -> None:
    said = ask(
        "How much do we deduct for a Heron C3, and is it combined with the quantity discount?", "120 euro [1]", (TRADE,)
    )
    assert [c.quote for c in said.citations] == [
        "For a working Heron C3 that is traded in we deduct 120 euro.",
        "The trade-in is not combined with the quantity discount.",
    ]
    assert [c.n for c in said.citations] == [1, 2] and said.hits[0] == said.hits[1]


@pytest.mark.parametrize(
    ("question", "answer", "left"),
    [
        ("How long is the notice, and how many days of leave are there?", "Six weeks [1].", 1),
        ("How long is the notice, and how many days of leave are there?", "6 weeks, and 26 days of leave [1].", 0),
        ("叉车培训要多少课时？几小时会限速？", "32 课时[1]。", 1),
        ("叉车培训要多少课时？几小时会限速？", "32 课时[1]；9 小时[2]。", 0),
        ("Where is the gate, and when does it open?", "It is in hall 5 [1].", 1),
        ("How many days of leave are there?", "There are some [1].", 0),
        (
            "Why was it moved, and who decided that?",
            "Because of the ice [1].",
            0,
        ),  # names and reasons cannot be counted
    ],
)
def test_parts_are_left_out_that_ask_for_more_facts_than_were_given(question: str, answer: str, left: int) -> None:
    assert len(left_out(question, answer)) == left


def test_a_part_of_which_no_source_speaks_is_not_made_up() -> None:
    question = "What is the part number of the driver for a Firefly L6, and how many kilometres is it to Lisbon?"
    assert "\n" not in ask(question, "L6-DR3 [1]", (MANUAL, *HITS)).text


def test_a_quote_is_as_harmless_as_an_answer() -> None:
    bad = hit(
        7, "The 2026 price of L6-DR3 is 145 <img src=https://evil.example/x> [euro](https://evil.example/y)", "Prices"
    )
    text = ask(PART, "L6-DR3 [1]", (MANUAL, bad)).text
    assert "145" in text and "evil.example" not in text.replace("`", "") and "<img" not in text
