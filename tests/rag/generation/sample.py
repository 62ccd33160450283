"""Hits and an answerer over them for tests: real sources, a scripted model, no index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from threading import Event
from typing import Any

from rag.generation.answering import GroundedAnswerer, answer
from rag.index.tokenization import tokenize
from rag.settings import Settings
from rag.types import Answer, AskRequest, Chunk, GenerationEnd, Hit, Message, SearchRequest, SearchResult, TextDelta

LEAVE = (
    "Full-time employees of Fernhollow receive 23 days of annual leave. Unused days expire on 31 March. "
    "Interns are not entitled to annual leave."
)
TRAVEL = "The hotel limit in Oslo is 2,150 kroner a night. The hotel limit in Porto is 140 euro a night."
TRIP = "出差到成都的住宿标准为每晚480元。高铁可以乘坐二等座，不得乘坐商务座。"


def hit(number: int, text: str, title: str, start: int = 0, page: int | None = None) -> Hit:
    chunk = Chunk(number, f"d{number}", text, (start, start + len(text)), page=page, title=title)
    return Hit(chunk, 1.0 / number, number, title, f"{title}.md")


HITS = (hit(1, LEAVE, "Leave policy", start=16, page=3), hit(2, TRAVEL, "Travel"), hit(3, TRIP, "差旅制度"))


class Found:
    """A retriever that orders the sample by shared words."""

    def __init__(self, hits: Sequence[Hit] = HITS) -> None:
        self.hits = hits

    def search(self, request: SearchRequest) -> SearchResult:
        words = set(tokenize(request.question))
        ordered = sorted(self.hits, key=lambda h: -len(words & set(tokenize(h.chunk.text))))
        return SearchResult(tuple(ordered), 7, 0.0, request.question)


class Scripted:
    """A generator that says what it was told, a character at a time, and keeps what it was asked."""

    name = "scripted"
    context_length = 4096

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[Sequence[Message]] = []

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(m.content) for m in messages) // 3

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
        stop: Sequence[str] = (),
        schema: Mapping[str, Any] | None = None,
        cancel: Event | None = None,
    ) -> Iterator[TextDelta | GenerationEnd]:
        self.asked.append(messages)
        for character in self.text:
            if cancel is not None and cancel.is_set():
                yield GenerationEnd("cancelled", 1, 0, 1)
                return
            yield TextDelta(character)
        yield GenerationEnd("stop", self.count_tokens(messages), 3, len(self.text))

    def check(self) -> list[str]:
        return []

    def close(self) -> None:
        return


class Weighing(Scripted):
    """Tells its chances by the word that is asked for."""

    def __init__(self, text: str, chances: Mapping[str, float | None]) -> None:
        super().__init__(text)
        self.chances = chances
        self.weighed: list[tuple[Sequence[Message], str]] = []

    def chance(self, messages: Sequence[Message], word: str, cancel: Event | None = None) -> float | None:
        self.weighed.append((messages, word))
        return self.chances[word]


class Shelf:
    """What the answerer asks of a collection."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def get_setting(self, key: str) -> Any:
        return self.settings.get(key)


def answerer(text: str, hits: Sequence[Hit] = HITS, calibration: Any = None, **knobs: Any) -> GroundedAnswerer:
    shelf: Any = Shelf(calibration=calibration)
    return GroundedAnswerer(shelf, Found(hits), Scripted(text), Settings(**knobs))


def ask(question: str, text: str, hits: Sequence[Hit] = HITS, **knobs: Any) -> Answer:
    return answer(answerer(text, hits, **knobs), AskRequest(SearchRequest(question)))
