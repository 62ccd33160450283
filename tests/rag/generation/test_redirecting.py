"""Answers taken from a sentence about something else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.generation.answering import GroundedAnswerer, answer
from rag.generation.redirecting import nearer
from rag.settings import Settings
from rag.types import AskRequest, GenerationEnd, Hit, Message, SearchRequest, SearchResult, StageScore, TextDelta

from .sample import Scripted, Shelf, hit

QUESTION = "首次换油是多少工作小时后？"
CHINESE = hit(1, "水泵每 150 小时检查一次皮带。工作时不得打开盖板。", "手册")
ENGLISH = hit(
    2, "When is the oil changed, in hours? Change the oil after the first 200 operating hours. Keep it dry.", "Manual"
)


class About:
    """Near are the sentences with this word."""

    def __init__(self, word: str) -> None:
        self.word = word

    def __call__(self, question: str, sentences: Sequence[tuple[Hit, str]]) -> NDArray[np.float64]:
        return np.array([float(self.word in text) for _, text in sentences])

    def nearness(self, question: str, hit: Hit, sentence: str) -> float:
        return float(self.word in sentence)


def test_the_sentence_that_is_near_the_question_is_the_answer() -> None:
    quote = nearer(QUESTION, (CHINESE, ENGLISH), 0.0, About("oil"), {"en": "After how many hours is the oil changed?"})
    assert quote is not None and quote.cited == "Change the oil after the first 200 operating hours. [2]"
    assert ENGLISH.chunk.text[slice(*quote.span)] == quote.text


def test_an_answer_whose_quote_is_near_stays() -> None:
    assert nearer(QUESTION, (CHINESE, ENGLISH), 0.5, About("oil"), {}) is None


def test_without_a_near_sentence_with_the_kind_of_fact_asked_for_the_answer_stays() -> None:
    assert nearer(QUESTION, (CHINESE, ENGLISH), 0.0, About("dry"), {}) is None
    assert nearer(QUESTION, (CHINESE, ENGLISH), 0.0, About("nothing"), {}) is None


class Elsewhere:
    """A retriever that finds both sources and says that the answer is likely in English."""

    def search(self, request: SearchRequest) -> SearchResult:
        english = replace(
            ENGLISH, chunk=replace(ENGLISH.chunk, language="en"), stages={"other language": StageScore(1, 0.9)}
        )
        chinese = replace(CHINESE, chunk=replace(CHINESE.chunk, language="zh"))
        return SearchResult((english,) if "lang=en" in request.filter else (chinese, english), 7, 0.0, request.question)


class Translating(Scripted):
    """A model that translates, and answers from the wrong source."""

    def stream(self, messages: Sequence[Message], **knobs: Any) -> Iterator[TextDelta | GenerationEnd]:
        translates = "translate" in messages[0].content
        yield from Scripted("After how many hours is the oil changed?" if translates else self.text).stream(
            messages, **knobs
        )


def test_an_answer_across_languages_comes_from_the_sentence_that_speaks_of_it() -> None:
    shelf: Any = Shelf(calibration=None)
    asked = GroundedAnswerer(shelf, Elsewhere(), Translating("150 小时 [1]"), Settings(), relevance=About("oil"))
    found = answer(asked, AskRequest(SearchRequest(QUESTION)))
    assert found.status == "answered" and found.text.startswith("Change the oil after the first 200 operating hours")
    assert [(c.path, c.quote) for c in found.citations] == [
        ("Manual.md", "Change the oil after the first 200 operating hours.")
    ]
    near = GroundedAnswerer(shelf, Elsewhere(), Translating("150 小时 [1]"), Settings(), relevance=About("150"))
    assert answer(near, AskRequest(SearchRequest(QUESTION))).text == "150 小时[2]"
