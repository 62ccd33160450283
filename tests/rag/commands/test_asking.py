"""What `rag ask` shows and leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from rag.commands.asking import _answer, _note_gap
from rag.settings import Settings
from rag.storage.ledger import Ledger
from rag.types import Answer, AnswerDone, AskRequest, SearchRequest, TextDelta, Timings
from rag.wiring import Services


@pytest.mark.parametrize(("status", "noted"), [("abstained", ["When is lunch?"]), ("answered", [])])
def test_a_refused_question_is_queued_as_a_gap_and_an_answered_one_is_not(
    tmp_path: Path, status: Literal["answered", "abstained"], noted: list[str]
) -> None:
    answer = Answer("When is lunch?", status, "", (), (), (), Timings(), "scripted", 1)
    with Services(Settings(home=tmp_path, collection="staff")) as services:
        _note_gap(services, answer)
    with Ledger(tmp_path) as ledger:
        assert [g.question for g in ledger.gaps() if g.collection == "staff"] == noted


@pytest.mark.parametrize(
    ("streamed", "text", "corrected"),
    [
        ("The works will close in May [1].", "The works will close in May [1].", False),
        ("The works will close in May [1].", "May [1].", False),  # it is there already
        ("The works will close in May [2].", "May [1].", True),
        ("The works will close in May [1].", "June [1].", True),
        ("It closes in May [1]. It opens in June [1].", "It closes in May [1].", True),  # the other was dropped
        ("The works will close in May.", "The documents do not answer this question.", True),
    ],
)
def test_an_answer_is_written_again_only_where_it_says_something_else(
    streamed: str, text: str, corrected: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    class Streams:
        def answerer(self) -> Any:
            return self

        def stream(self, request: AskRequest) -> Any:
            yield TextDelta(streamed)
            yield AnswerDone(Answer("When?", "answered", text, (), (), (), Timings(), "scripted", 1))

    services: Any = Streams()
    _answer(services, AskRequest(SearchRequest("When?")), live=True)
    told = capsys.readouterr().out
    assert told.startswith(streamed)
    assert ("After checking it against its sources:\n" + text in told) is corrected
