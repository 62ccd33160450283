"""Words of a question against words of a passage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from rag.protocols import Vectors
from rag.retrieval.late_interaction import KEPT, LateInteraction, maxsim
from rag.retrieval.query import Query
from rag.retrieval.reranking import SignalReranking, shortness
from rag.retrieval.token_codes import BITS, BYTES, TokenCoder
from rag.types import Chunk

from .conftest import DIM, WordEmbedder
from .test_signals import chunk, head

# An axis that a word does not have falls below the mean, one that it has lies above.
CODER = TokenCoder(np.full(DIM, 0.05, np.float32), np.eye(DIM, BITS, dtype=np.float32))


class Counting(WordEmbedder):
    def __init__(self) -> None:
        self.asked: list[str] = []

    def token_vectors(self, texts: Sequence[str], *, question: bool = False) -> list[Vectors]:
        self.asked += texts
        return super().token_vectors(texts, question=question)


def late_with(embedder: Callable[[], WordEmbedder]) -> LateInteraction:
    return LateInteraction(CODER, embedder)


def codes(*texts: str) -> list[bytes]:
    return [CODER.encode(v) for v in WordEmbedder().token_vectors(texts)]


def test_maxsim_by_hand() -> None:
    signs = np.full((3, BITS), -1.0, np.float32)
    signs[0, : BITS // 2] = signs[1, : BITS // 4] = signs[2] = 1.0
    passage = np.packbits(signs > 0, axis=1).tobytes()
    question = signs[:2] / np.sqrt(BITS)
    first, second, third = maxsim(question, [passage, b"", passage[-BYTES:]])
    assert first == pytest.approx(1.0)
    assert second == 0.0
    assert third == pytest.approx((0.0 - 0.5) / 2)  # half, and a quarter, of the signs are those of the last token


def test_no_question_is_like_nothing() -> None:
    assert maxsim(np.zeros((0, BITS), np.float32), [bytes(BYTES)]).tolist() == [0.0]


def test_stored_codes_are_not_made_again() -> None:
    embedder = Counting()
    chunks = [chunk("pump seal"), chunk("fan belt")]
    found = late_with(lambda: embedder).similarities("seal", chunks, codes("pump seal", "fan belt"))
    assert embedder.asked == ["seal"]
    assert found[0] > found[1]


def test_codes_that_are_not_stored_are_made_once_and_say_the_same() -> None:
    embedder = Counting()
    late = late_with(lambda: embedder)
    chunks = [chunk("pump seal"), chunk("fan belt")]
    first = late.similarities("seal", chunks, [None, *codes("fan belt")])
    assert list(late.similarities("seal", chunks, [None, None])) == pytest.approx(list(first))
    assert embedder.asked.count("pump seal") == 1


def test_what_is_kept_is_bounded() -> None:
    embedder = Counting()
    late = late_with(lambda: embedder)
    late.similarities("seal", [chunk(f"text {n}") for n in range(KEPT + 1)], [None] * (KEPT + 1))
    late.similarities("seal", [chunk("text 0")], [None])
    assert embedder.asked.count("text 0") == 2


def other(text: str) -> Chunk:
    return Chunk(1, "d", text, (0, len(text)), language="en")


def test_across_languages_words_decide() -> None:
    h = head(other("fan belt"), other("fan seal"), other("pump seal"), fused=[3.0, 2.0, 1.0])
    query = Query("pump seal", "zh", {"pump": 1.0}, ())
    found = SignalReranking(late_with(WordEmbedder)).scores(query, h)
    assert found is not None
    assert int(np.argmax(found.scores)) == 2
    assert found.elsewhere == 0.0  # there is no other language to choose from


def test_within_a_language_stored_codes_take_part_and_nothing_is_embedded_for_them() -> None:
    embedder = Counting()
    texts = ("fan belt", "fan seal", "pump seal")
    facts = {"terms": {}, "idf": {}, "fused": [1.2, 1.1, 1.0]}
    query = Query("pump seal", "en", {"pump": 1.0}, ())
    reranking = SignalReranking(late_with(lambda: embedder))
    without = reranking.scores(query, head(*map(other, texts), **facts))  # type: ignore[arg-type]
    assert embedder.asked == []
    with_codes = reranking.scores(query, head(*map(other, texts), **facts, codes=codes(*texts)))  # type: ignore[arg-type]
    assert embedder.asked == ["pump seal"]
    assert without is not None and with_codes is not None
    assert (int(np.argmax(without.scores)), int(np.argmax(with_codes.scores))) == (0, 2)


def test_the_longer_the_question_the_less_late_interaction_weighs() -> None:
    def asked(n: int, **more: float) -> float:
        return shortness(Query("", "en", {**{f"w{i}": 1.0 for i in range(n)}, **more}, ()))

    assert [asked(n) for n in (1, 3, 6, 20)] == [1.0, 1.0, 0.0, 0.0]
    assert asked(4) == pytest.approx(2 / 3)
    assert asked(3, synonym=0.7, earlier=0.5) == 1.0
    assert asked(3, identifier=1.5) == asked(4)


def test_chinese_questions_on_chinese_passages_go_without() -> None:
    embedder = Counting()
    h = head(*(Chunk(1, "d", t, (0, 2), language="zh") for t in ("水泵", "密封", "风扇")), codes=codes("a", "b", "c"))
    SignalReranking(late_with(lambda: embedder)).scores(Query("水泵", "zh", {"水泵": 1.0}, ()), h)
    assert embedder.asked == []
