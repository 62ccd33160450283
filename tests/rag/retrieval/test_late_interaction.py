"""Words of a question against words of a passage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rag.protocols import Vectors
from rag.retrieval.late_interaction import KEPT, LateInteraction, maxsim
from rag.retrieval.query import Query
from rag.retrieval.reranking import SignalReranking, across_languages
from rag.types import Chunk

from .conftest import WordEmbedder
from .test_signals import chunk, head


class Counting(WordEmbedder):
    def __init__(self) -> None:
        self.asked: list[str] = []

    def token_vectors(self, texts: Sequence[str], *, question: bool = False) -> list[Vectors]:
        self.asked += texts
        return super().token_vectors(texts, question=question)


def test_maxsim_by_hand() -> None:
    question = np.array([[1, 0], [0, 1]], np.float32)
    passage = np.array([[1, 0], [0.6, 0.8]], np.float32)
    assert maxsim(question, passage) == pytest.approx((1 + 0.8) / 2)


def test_an_empty_passage_is_like_nothing() -> None:
    assert maxsim(np.ones((1, 2), np.float32), np.zeros((0, 2), np.float32)) == 0.0


def test_a_passage_is_embedded_once() -> None:
    embedder = Counting()
    late = LateInteraction(lambda: embedder)
    first = late.similarities("seal", [chunk("pump seal"), chunk("fan belt")])
    assert list(late.similarities("seal", [chunk("pump seal"), chunk("fan belt")])) == pytest.approx(list(first))
    assert embedder.asked.count("pump seal") == 1
    assert first[0] > first[1]


def test_what_is_kept_is_bounded() -> None:
    embedder = Counting()
    late = LateInteraction(lambda: embedder)
    late.similarities("seal", [chunk(f"text {n}") for n in range(KEPT + 1)])
    late.similarities("seal", [chunk("text 0")])
    assert embedder.asked.count("text 0") == 2


def other(text: str) -> Chunk:
    return Chunk(1, "d", text, (0, len(text)), language="en")


def test_across_languages_words_decide() -> None:
    h = head(other("fan belt"), other("fan seal"), other("pump seal"), fused=[3.0, 2.0, 1.0])
    query = Query("pump seal", "zh", {"pump": 1.0}, ())
    assert across_languages(query, h)
    found = SignalReranking(LateInteraction(WordEmbedder)).scores(query, h)
    assert found is not None
    assert int(np.argmax(found)) == 2


def test_within_a_language_no_word_is_embedded_unless_asked_for() -> None:
    embedder = Counting()
    h = head(other("fan belt"), other("fan seal"), other("pump seal"))
    query = Query("pump seal", "en", {"pump": 1.0}, ())
    SignalReranking(LateInteraction(lambda: embedder)).scores(query, h)
    assert embedder.asked == []
    SignalReranking(LateInteraction(lambda: embedder), always=True).scores(query, h)
    assert "pump seal" in embedder.asked
