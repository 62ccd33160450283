"""Several things asked for at once: each is asked after the same sources, the answers come as one stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Event
from typing import Any

import pytest

from rag.errors import StreamBroken
from rag.generation.answering import GroundedAnswerer
from rag.generation.part_by_part import part_by_part
from rag.generation.prompting import PromptSource
from rag.settings import Settings
from rag.types import AskRequest, GenerationEnd, Message, SearchRequest, TextDelta

from .sample import Found, Scripted, Shelf

SOURCES = [PromptSource(1, "Leave policy", "23 days. Unused days expire on 31 March.")]
PARTS = ("How many days of leave are there", "when do they expire?")


class Telling:
    """Says its answers one after the other, a word at a time, and keeps what it was asked."""

    def __init__(self, *answers: str, finish: str = "stop") -> None:
        self.answers = list(answers)
        self.finish = finish
        self.asked: list[tuple[str, int]] = []

    def __call__(self, messages: Sequence[Message], longest: int) -> Iterator[TextDelta | GenerationEnd]:
        self.asked.append((messages[-1].content, longest))
        words = self.answers.pop(0).split()
        for i, word in enumerate(words):
            yield TextDelta(f" {word}" if i else word)
        yield GenerationEnd(self.finish, 100 * len(self.asked), 10 * len(self.asked), len(words))  # type: ignore[arg-type]


def told(telling: Telling, parts: Sequence[str] = PARTS) -> tuple[str, GenerationEnd]:
    events = list(part_by_part(parts, SOURCES, (), 50, telling))
    assert isinstance(events[-1], GenerationEnd) and not any(isinstance(e, GenerationEnd) for e in events[:-1])
    return "".join(e.text for e in events if isinstance(e, TextDelta)), events[-1]


def test_every_part_has_a_line_and_the_stream_one_end() -> None:
    text, end = told(Telling("23 days [1]", "On 31 March [1]"))
    assert text == "23 days [1]\nOn 31 March [1]"
    assert end == GenerationEnd("stop", 100, 10, 7)


def test_a_part_is_asked_after_the_same_sources_and_what_was_said_before() -> None:
    telling = Telling("23 days [1]", "On 31 March [1]")
    told(telling)
    (first, longest), (second, left) = telling.asked
    same = first.index("Question:")
    assert first.splitlines()[-2].endswith(f"{PARTS[0]}?")
    assert second.startswith(first[:same]) and second.splitlines()[-2].endswith(PARTS[1])
    assert "23 days" in second[same:] and PARTS[0] in second[same:]
    assert (longest, left) == (50, 47)


@pytest.mark.parametrize("finish", ["cancelled", "length"])
def test_what_is_cut_off_is_the_end(finish: str) -> None:
    telling = Telling("23 days", "On 31 March", finish=finish)
    text, end = told(telling)
    assert (text, end.finish_reason, len(telling.asked)) == ("23 days", finish, 1)


def test_a_fault_in_a_later_part_passes_through() -> None:
    def generate(messages: Sequence[Message], longest: int) -> Iterator[TextDelta | GenerationEnd]:
        if "expire" in messages[-1].content.splitlines()[-2]:
            raise StreamBroken("the answer ended in the middle")
        yield GenerationEnd("stop", 1, 0, 1)

    with pytest.raises(StreamBroken):
        list(part_by_part(PARTS, SOURCES, (), 50, generate))


def test_the_answerer_asks_part_by_part_but_for_json_and_single_questions() -> None:
    question = "How many days of annual leave do full-time employees receive, and when do unused days expire?"

    def asked(question: str, schema: dict[str, object] | None = None) -> int:
        model = Scripted('{"days": 23}' if schema else "23 days [1].")
        shelf: Any = Shelf()
        of = GroundedAnswerer(shelf, Found(), model, Settings())
        list(of.stream(AskRequest(SearchRequest(question), schema=schema), Event()))
        return len(model.asked)

    assert asked(question) == 2
    assert asked("How many days of annual leave do full-time employees receive?") == 1
    assert asked(question, {"type": "object"}) == 1
