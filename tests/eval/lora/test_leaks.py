"""The guard between training and reporting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.golden import GoldenQuestion
from eval.lora.examples import Example
from eval.lora.leaks import find_leaks
from rag.protocols import TokenVectors, Vectors

TRAINED = [
    Example("How many days of annual leave do staff in grade 4 get?", "", "23 days", id="1"),
    Example("差旅住宿每晚的报销上限是多少元？", "", "600元", id="2"),
]


def _ask(text: str, *answers: str) -> list[GoldenQuestion]:
    return [GoldenQuestion("q", text, answers)]


def test_the_same_question_is_found_whatever_its_spelling() -> None:
    (leak,) = find_leaks(_ask("how many days of Annual Leave do staff in grade 4 get", "23"), TRAINED)
    assert (leak.question, leak.how) == ("q", "same")


def test_a_rewording_with_the_same_answer_is_found() -> None:
    (leak,) = find_leaks(_ask("How many days of annual leave do the staff in grade 4 get now?", "23"), TRAINED)
    assert leak.how.startswith("n-gram")
    (leak,) = find_leaks(_ask("差旅住宿每晚报销上限是多少元？", "600"), TRAINED)
    assert leak.trained == TRAINED[1].instruction


def test_the_same_question_with_a_new_answer_is_no_leak() -> None:
    assert not find_leaks(_ask("How many days of annual leave do staff in grade 4 get?", "26 days"), TRAINED)


def test_a_like_question_with_another_answer_is_none() -> None:
    assert not find_leaks(_ask("How many days of annual leave do staff in grade 5 get?", "25 days"), TRAINED)
    assert not find_leaks(_ask("Who signs the lease?", "23 days"), TRAINED)


def test_with_an_embedder_other_words_are_found_too() -> None:
    class Same:
        """Every text points the same way."""

        name, dim, max_tokens, identity = "same", 2, 512, {"model": "same"}

        def embed_passages(self, texts: Sequence[str], tokens: TokenVectors | None = None) -> Vectors:
            return np.tile(np.array([1, 0], np.float32), (len(texts), 1))

        def embed_question(self, text: str) -> Vectors:
            return np.array([1, 0], np.float32)

        def token_vectors(self, texts: Sequence[str], *, question: bool = False) -> list[Vectors]:
            return [self.embed_passages([t]) for t in texts]

    other_words = _ask("What does my holiday allowance come to?", "23 days")
    assert not find_leaks(other_words, TRAINED)
    (leak,) = find_leaks(other_words, TRAINED, Same())
    assert leak.how == "cosine 1.00"
