"""From question to proved answer, with a scripted model over real sources."""

from __future__ import annotations

import json
from threading import Event
from typing import Any

import pytest

from rag.generation.answering import GroundedAnswerer, answer
from rag.settings import Settings
from rag.types import AnswerDone, AskRequest, Message, SearchRequest, SourcesFound, TextDelta

from .sample import HITS, LEAVE, Found, Scripted, Shelf, Weighing, answerer, ask, hit

DAYS = "How many days of annual leave do full-time employees receive?"


def test_the_stream_is_sources_then_text_then_the_answer() -> None:
    events = list(answerer("23 days [1].").stream(AskRequest(SearchRequest(DAYS))))
    assert isinstance(events[0], SourcesFound) and events[0].generation == 7
    assert all(isinstance(e, TextDelta) for e in events[1:-1]) and len(events) > 4
    done = events[-1]
    assert isinstance(done, AnswerDone) and done.answer.text == "23 days [1]."


def test_a_supported_answer_has_its_citation_page_span_and_verdict() -> None:
    found = ask(DAYS, "Full-time employees receive 23 days of annual leave [1].")
    assert found.status == "answered" and found.finish_reason == "stop"
    (citation,) = found.citations
    assert citation.quote == "Full-time employees of Fernhollow receive 23 days of annual leave."
    assert citation.span == (16, 16 + len(citation.quote)) and citation.page == 3
    (sentence,) = found.sentences
    assert sentence.verdict == "supported" and found.text[slice(*sentence.span)] == sentence.text
    assert found.timings.prompt_tokens > 0 and found.timings.cached_tokens == 3


def test_a_number_that_was_never_offered_does_not_come_through() -> None:
    found = ask(DAYS, "Full-time employees receive 23 days of annual leave [9].")
    assert found.text == "Full-time employees receive 23 days of annual leave [1]."


def test_a_missing_citation_is_added_where_a_source_supports_the_sentence() -> None:
    assert ask(DAYS, "Full-time employees receive 23 days of annual leave.").citations[0].n == 1


def test_an_unsupported_sentence_is_marked_or_dropped_by_setting() -> None:
    text = "Full-time employees receive 23 days of annual leave [1]. They may sell 40 days to colleagues [1]."
    marked, dropped = ask(DAYS, text), ask(DAYS, text, unsupported="drop")
    assert [s.verdict for s in marked.sentences] == ["supported", "unsupported"]
    assert "40 days" in marked.sentences[1].reason
    assert dropped.text == "Full-time employees receive 23 days of annual leave [1]."


def test_a_refusal_says_what_is_nearest_and_streams_nothing() -> None:
    question = "What is the annual leave of the chief accountant?"
    events = list(answerer("NOT FOUND").stream(AskRequest(SearchRequest(question))))
    assert not any(isinstance(e, TextDelta) for e in events)
    done = events[-1]
    assert isinstance(done, AnswerDone) and done.answer.status == "abstained"
    assert "Leave policy" in done.answer.text and done.answer.citations[0].n == 1


class Slow(Scripted):
    """Reads so slowly that a prompt has little room."""

    def source_tokens(self) -> int:
        return 200


@pytest.mark.parametrize(("setting", "least", "most"), [(0, 2.5, 9.0), (200, 1.5, 2.5)])
def test_a_question_about_two_things_is_shown_more(setting: int, least: float, most: float) -> None:
    """The budget filled; and a larger one, unless the operator has set it."""
    filler = " ".join(f"The warehouse in row {n} keeps spare parts of the valve." for n in range(30))
    hits = (
        hit(1, f"{filler} The warranty of the pump is two years. {filler}", "Pump"),
        hit(2, f"{filler} The warranty of the lamp is three years. {filler}", "Lamp"),
    )
    shown = []
    shelf: Any = Shelf()
    for things in ("pump", "pump and the lamp in years"):
        model = Slow("two years [1]")
        asked = GroundedAnswerer(shelf, Found(hits), model, Settings(source_tokens=setting))
        answer(asked, AskRequest(SearchRequest(f"How long is the warranty of the {things}?")))
        shown.append("".join(m.content for m in model.asked[0]))
    assert "pump is two years" in shown[1] and "lamp is three years" in shown[1]
    assert least < len(shown[1]) / len(shown[0]) < most


def test_no_documents_means_no_model_call() -> None:
    asked = answerer("23 days", hits=())
    assert answer(asked, AskRequest(SearchRequest(DAYS))).status == "abstained"
    assert asked._generator.asked == []  # type: ignore[attr-defined]


def test_an_answer_that_nothing_supports_on_a_question_nothing_speaks_of_is_refused() -> None:
    found = ask("Who won the 1998 chess tournament in Lima?", "Boris Ivanov won the tournament in 1998 [1].")
    assert found.status == "abstained" and found.confidence is not None and found.confidence < 0.5


def test_a_bare_number_is_answered_with_the_sentence_it_points_at() -> None:
    assert ask(DAYS, "[1]").text == "Full-time employees of Fernhollow receive 23 days of annual leave [1]."


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("No [1]", "No: Interns are not entitled to annual leave [1]."),
        ("No, interns are not entitled [1].", "No, interns are not entitled [1]."),
    ],
)
def test_a_bare_yes_or_no_is_answered_with_the_sentence_it_rests_on(said: str, text: str) -> None:
    assert ask("Are interns entitled to annual leave?", said).text == text


def test_what_streams_is_safe_and_so_is_the_answer() -> None:
    events = list(answerer("23 days ![a](https://evil.example/?q=1) [1].").stream(AskRequest(SearchRequest(DAYS))))
    assert "evil" not in "".join(e.text for e in events if isinstance(e, TextDelta))
    assert isinstance(events[-1], AnswerDone) and "evil" not in events[-1].answer.text


def test_cancelling_ends_with_what_was_said_so_far() -> None:
    cancel = Event()
    stream = answerer("Full-time employees receive 23 days of annual leave [1].").stream(
        AskRequest(SearchRequest(DAYS)), cancel
    )
    for event in stream:
        if isinstance(event, TextDelta):
            cancel.set()
        if isinstance(event, AnswerDone):
            assert event.answer.finish_reason == "cancelled" and event.answer.text.startswith("Full-time")


def test_a_json_answer_follows_its_schema_and_is_checked() -> None:
    schema = {"type": "object", "properties": {"days": {"type": "integer"}, "note": {"type": "string"}}}
    raw = json.dumps({"days": 23, "note": "<b>Unused days expire on 31 March.</b>"})
    found = answer(answerer(raw), AskRequest(SearchRequest(DAYS), schema=schema))
    assert json.loads(found.text) == {"days": 23, "note": "Unused days expire on 31 March."}
    assert [s.verdict for s in found.sentences] == ["supported", "supported"]
    assert found.citations[0].n == 1


def test_history_is_in_the_prompt_and_sources_shrink_until_all_fits() -> None:
    asked = answerer("23 days [1].", hits=[hit(1, LEAVE * 60, "Leave")])
    generator = asked._generator
    assert isinstance(generator, Scripted)
    generator.context_length = 700
    turns = (Message("user", "Hello?"), Message("assistant", "Hi."))
    answer(asked, AskRequest(SearchRequest(DAYS, history=turns)))
    assert generator.count_tokens(generator.asked[0]) + 320 <= 700
    assert "23 days" in generator.asked[0][1].content


def test_a_stored_calibration_and_a_limit_on_wrong_answers_refuse_more() -> None:
    curve = [{"threshold": 0.5, "wrong": 0.2, "coverage": 1.0}, {"threshold": 0.99, "wrong": 0.05, "coverage": 0.4}]
    stored = {
        "weights": {"coverage": 3.0, "supported": 2.5, "partly": 1.2, "kind": 1.2},
        "bias": -3.4,
        "threshold": 0.5,
        "curve": curve,
    }
    text = "Full-time employees receive 23 days of annual leave [1]."
    assert ask(DAYS, text, calibration=stored).status == "answered"
    assert ask(DAYS, text, calibration=stored, max_wrong=0.05).status == "abstained"


def test_hits_are_offered_in_the_order_of_their_numbers() -> None:
    found = ask("出差到成都住宿标准是多少？", "出差到成都的住宿标准为每晚480元[1]。")
    assert found.hits[0] == HITS[2] and found.citations[0].document == "d3"


def test_a_few_words_are_quoted_in_the_sentence_that_speaks_of_the_question() -> None:
    text = "The hotel limit in Porto is 140 euro. The limit for a rented car in Porto is 140 euro."
    found = ask("What is the limit for a rented car?", "140 euro [1].", hits=[hit(1, text, "Travel")])
    assert found.citations[0].quote == "The limit for a rented car in Porto is 140 euro."


@pytest.mark.parametrize(("doubt", "status"), [(0.02, "answered"), (None, "answered"), (0.99, "abstained")])
def test_a_model_that_doubts_the_sources_is_not_believed(doubt: float | None, status: str) -> None:
    question, text = "Which leave is there for trainees of Fernhollow abroad?", "23 days of annual leave [1]."
    generator = Weighing(text, {"NOT FOUND": doubt})
    shelf: Any = Shelf()
    found = answer(GroundedAnswerer(shelf, Found(), generator, Settings()), AskRequest(SearchRequest(question)))
    assert found.status == status
    ((asked, word),) = generator.weighed
    assert word == "NOT FOUND" and word in asked[-1].content.rpartition("\n")[2]
    # All but the last line is what the model has just read.
    assert asked[-1].content.rpartition("\n")[0] == generator.asked[0][-1].content.rpartition("\n")[0]


def test_an_answer_comes_without_the_question_and_with_the_verdict_and_the_quote_of_the_whole() -> None:
    found = ask("What is the hotel limit in Porto?", "The hotel limit in Porto is 140 euro a night [1].")
    assert found.text == "140 euro a night [1]"
    (sentence,) = found.sentences
    assert (sentence.text, sentence.verdict, sentence.span) == (found.text, "supported", (0, len(found.text)))
    assert found.citations[0].quote == "The hotel limit in Porto is 140 euro a night."
