"""A question whose answer stands in another language, in a collection of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag.retrieval import other_language
from rag.retrieval.fields import Fields
from rag.retrieval.late_interaction import LateInteraction
from rag.retrieval.other_language import chance, merged
from rag.retrieval.reranking import SignalReranking
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
    chances = [chance("zh", -0.05, 0.0, 0.6, share) for share in (0.5, 0.1, 0.0005)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.6 and chances[2] < 0.03


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
    assert known[0].path == "dormitory.md"
    open_ = retriever.search(SearchRequest("Who returns the deposit of a dormitory?", filter="path!=dormitory.md")).hits
    lifted = next(h for h in open_ if h.path == "宿舍.md")
    assert lifted.rank <= 2 and lifted.stages["other language"].score > 0.1
    assert [h.score for h in open_] == sorted((h.score for h in open_), reverse=True)
