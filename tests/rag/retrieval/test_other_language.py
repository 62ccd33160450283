"""A question whose answer stands in another language, in a collection of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rag.retrieval import other_language
from rag.retrieval.fields import Fields
from rag.retrieval.late_interaction import LateInteraction
from rag.retrieval.other_language import chance, merged
from rag.retrieval.reranking import CANDIDATES, CrossEncoderReranking, SignalReranking
from rag.retrieval.retriever import HybridRetriever
from rag.retrieval.token_codes import BITS, TokenCoder
from rag.settings import Settings
from rag.storage.card import Card, FieldCard
from rag.storage.collection import Collection
from rag.storage.home import Home
from rag.types import SearchRequest

from .conftest import DIM, WordEmbedder, document, store

CODER = TokenCoder(np.full(DIM, 0.05, np.float32), np.eye(DIM, BITS, dtype=np.float32))


def test_the_nearer_the_other_language_comes_the_likelier_it_holds_the_answer() -> None:
    for language in other_language.WEIGHTS:
        chances = [chance(language, lead, lead / 4, 0.6, 0.5) for lead in (0.3, 0.1, 0.0, -0.1)]
        assert chances == sorted(chances)
        assert chances[0] < 0.03 and chances[-1] > 0.6


@pytest.mark.parametrize(
    ("language", "own", "share"), [("de", 0.6, 0.5), ("zh", 0.6, 0.0), ("zh", 0.6, 1.0), ("zh", float("nan"), 0.5)]
)
def test_what_cannot_be_told_changes_nothing(language: str, own: float, share: float) -> None:
    assert chance(language, -0.2, -0.1, own, share) == 0.0


def test_a_page_or_two_in_another_language_hardly_hold_the_answer() -> None:
    chances = [chance("zh", 0.0, 0.04, 0.52, share) for share in (0.5, 0.1, 0.002)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > other_language.TURNS[0][0] and chances[2] < other_language.LIFTED


@pytest.mark.parametrize(
    ("elsewhere", "order"),
    [
        (0.9, [4, 0, 5, 1, 6, 2, 3]),
        (0.3, [0, 4, 1, 5, 2, 3, 6]),
        (0.05, [0, 1, 4, 2, 3, 5, 6]),
        (0.0, [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_the_chance_says_whose_turn_it_is(elsewhere: float, order: list[int]) -> None:
    scores = np.array([9, 8, 7, 6, 5, 4, 3], np.float32)
    foreign = np.array([0, 0, 0, 0, 1, 1, 1], bool)
    found = merged(scores, foreign, elsewhere)
    assert np.argsort(-found).tolist() == order
    assert sorted(found) == sorted(scores)  # dealt out anew, none made up


def test_a_side_that_runs_out_leaves_its_turns_to_the_other() -> None:
    found = merged(np.array([3, 2, 1], np.float32), np.array([False, False, True]), 0.9)
    assert np.argsort(-found).tolist() == [2, 0, 1]


class Interpreter(WordEmbedder):
    """Knows two words of Chinese."""

    def _vector(self, text: str) -> np.ndarray:
        return super()._vector(text.replace("宿舍", " dormitory ").replace("押金", " deposit "))


@pytest.fixture
def two_fields(home: Path) -> tuple[Collection, Fields]:
    card = Card(
        (
            FieldCard("own", "words", ("en",), DIM, WordEmbedder.identity),
            FieldCard("all", "words", ("*",), DIM, WordEmbedder.identity),
        ),
        chunking="one",
    )
    return Home(home).create("mixed", card), Fields(
        card, lambda field, bulk: Interpreter() if field.name == "all" else WordEmbedder()
    )


def test_the_best_passage_of_the_other_language_comes_up_when_its_own_says_little(
    two_fields: tuple[Collection, Fields], settings: Settings
) -> None:
    collection, fields = two_fields
    store(
        collection,
        fields,
        document("dormitory.md", "The deposit for a dormitory in summer."),
        document("keys.md", "The deposit for keys lies with the porter at the gate."),
        document(
            "bottles.md",
            "The deposit for bottles and crates of bottles and jars of honey and jam from the canteen shop.",
        ),
        document("宿舍.md", "宿舍押金"),
        document("食堂.md", "食堂午饭十元。"),
        document("班车.md", "班车每天早上七点半从东门开出。"),
        document("门卫.md", "门卫室在北门。"),
    )
    reranking = SignalReranking(LateInteraction(CODER, Interpreter))
    retriever = HybridRetriever(collection, fields, settings, reranking=reranking)
    known = retriever.search(SearchRequest("What is the deposit for a dormitory in summer?")).hits
    assert known[0].path == "dormitory.md" and "other language" not in known[0].stages
    open_ = retriever.search(SearchRequest("Who returns the deposit of a dormitory?", filter="path!=dormitory.md")).hits
    lifted = next(h for h in open_ if h.path == "宿舍.md")
    assert lifted.rank <= 2 and lifted.stages["other language"].score >= other_language.TURNS[1][0]
    assert [h.score for h in open_] == sorted((h.score for h in open_), reverse=True)


def test_a_cross_encoder_reads_twenty_candidates_in_whatever_languages(
    two_fields: tuple[Collection, Fields], settings: Settings
) -> None:
    collection, fields = two_fields
    store(
        collection,
        fields,
        *(document(f"{n}.md", f"The deposit for the dormitory of house number {n}.") for n in range(25)),
        *(document(f"{n}号.md", f"{n}号宿舍押金") for n in range(25)),
    )
    read: list[int] = []

    class Counting:
        def score(self, question: str, texts: Sequence[str]) -> np.ndarray:
            read.append(len(texts))
            return np.zeros(len(texts), np.float32)

    cross = CrossEncoderReranking("toy", lambda name: Counting())
    HybridRetriever(collection, fields, settings, reranking=cross).search(SearchRequest("dormitory deposit"))
    assert read == [CANDIDATES]
