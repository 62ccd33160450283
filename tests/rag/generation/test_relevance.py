"""Which sentences mean what the question means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rag.generation.context import select
from rag.generation.relevance import SentenceRelevance
from rag.protocols import TokenVectors, Vectors

from .sample import TRIP, hit

AXES = ("pay wage salary 工资", "bike car train 高铁", "hotel 住宿", "leave holiday 休假")


class Meanings:
    """An embedder that knows four things in two languages."""

    name, dim, max_tokens = "meanings", 5, 512
    identity: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed_passages(self, texts: Sequence[str], tokens: TokenVectors | None = None) -> Vectors:
        self.asked += texts
        return np.stack([self._vector(t) for t in texts])

    def embed_question(self, text: str) -> Vectors:
        return self._vector(text)

    def token_vectors(self, texts: Sequence[str], *, question: bool = False) -> list[Vectors]:
        raise NotImplementedError

    def _vector(self, text: str) -> Vectors:
        v = np.array([sum(w in text.lower() for w in axis.split()) for axis in AXES] + [0.1], np.float32)
        return v / np.float32(np.linalg.norm(v))


STAFF = hit(
    1,
    "A bike can be leased. The wage arrives on the last working day. The hotel is booked by the office. Nobody works on Sunday.",
    "Staff",
)


def test_a_sentence_that_says_it_in_other_words_is_read_first() -> None:
    embedder = Meanings()
    relevance = SentenceRelevance({"all": ("*",)}, {"all": embedder})
    assert "wage" not in select("When do I get my salary?", [STAFF], 20).sources[0].text
    assert "wage" in select("When do I get my salary?", [STAFF], 20, relevance).sources[0].text


def test_sentences_are_compared_within_their_language_and_embedded_once() -> None:
    own, across = Meanings(), Meanings()
    relevance = SentenceRelevance({"en": ("en",), "all": ("*",)}, {"en": own, "all": across})
    found = hit(2, TRIP, "差旅制度")
    trip = replace(found, chunk=replace(found.chunk, language="zh"))
    sentences = [(STAFF, "The hotel is booked by the office."), (STAFF, "A bike can be leased.")]
    sentences += [(trip, s) for s in ("住宿标准为每晚480元。", "高铁可以乘坐二等座。")]
    near = relevance("What does a hotel cost?", sentences)
    assert near[0] > 0.9 > -0.9 > near[1] and near[2] > 0.9 > -0.9 > near[3]
    assert len(own.asked) == 2 and len(across.asked) == 2
    relevance("Is there a train?", sentences)
    assert len(own.asked) == 2 and len(across.asked) == 2


def test_where_no_field_holds_both_languages_nothing_is_said() -> None:
    relevance = SentenceRelevance({"zh": ("zh",)}, {"zh": Meanings()})
    assert relevance("What does a hotel cost?", [(STAFF, "The hotel is booked by the office.")]).tolist() == [0.0]
