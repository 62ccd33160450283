"""A question whose answer stands in another language, in a collection of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag.index.ranking import Ranking
from rag.retrieval import other_language
from rag.retrieval.fields import Fields
from rag.retrieval.pool import ACROSS, Pool, Signal
from rag.retrieval.retriever import HybridRetriever
from rag.settings import Settings
from rag.storage.card import Card, FieldCard
from rag.storage.collection import Collection
from rag.storage.home import Home
from rag.types import SearchRequest

from .conftest import DIM, WordEmbedder, document, store

LANGUAGES = {"own": ("zh",), "all": ("*",)}
ALIEN = np.array([False, False, True, True])


def pool(own: list[float], across: list[float]) -> Pool:
    """Two Chinese candidates, two English ones; `across` as the field gives them, before anything is given back."""
    restored = np.array(across, np.float32) + np.float32(ACROSS) * ALIEN
    ids = np.arange(4)
    ranking = Ranking(ids, restored)
    return Pool(
        ids,
        {"own": Signal(ranking, np.array([*own, np.nan, np.nan], np.float32)), "all": Signal(ranking, restored)},
        4,
    )


def test_the_nearer_the_other_language_comes_the_likelier_it_holds_the_answer() -> None:
    answered = other_language.chance(pool([0.72, 0.5], [0.93, 0.88, 0.81, 0.8]), LANGUAGES, "zh", ALIEN, 0.5)
    open_ = other_language.chance(pool([0.52, 0.5], [0.88, 0.87, 0.84, 0.8]), LANGUAGES, "zh", ALIEN, 0.5)
    assert answered < 0.05 and open_ > 0.6
    assert other_language.place(answered) is None and other_language.place(open_) == 0
    assert other_language.place(0.3) == 1


@pytest.mark.parametrize(
    ("language", "alien", "share"),
    [
        ("de", ALIEN, 0.5),
        ("zh", ~ALIEN | True, 0.5),
        ("zh", ALIEN & False, 0.5),
        ("zh", ALIEN, 0.0),
        ("zh", ALIEN, 1.0),
    ],
)
def test_what_cannot_be_told_changes_nothing(language: str, alien: np.ndarray, share: float) -> None:
    assert other_language.chance(pool([0.5, 0.5], [0.8, 0.8, 0.9, 0.9]), LANGUAGES, language, alien, share) == 0.0


def test_a_page_or_two_in_another_language_hardly_hold_the_answer() -> None:
    near = pool([0.52, 0.5], [0.88, 0.87, 0.84, 0.8])
    chances = [other_language.chance(near, LANGUAGES, "zh", ALIEN, share) for share in (0.5, 0.1, 0.002)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > other_language.FIRST and other_language.place(chances[2]) is None


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
    )
    retriever = HybridRetriever(collection, fields, settings)
    known = retriever.search(SearchRequest("What is the deposit for a dormitory in summer?")).hits
    assert known[0].path == "dormitory.md" and "other language" not in known[0].stages
    open_ = retriever.search(SearchRequest("Who returns the deposit of a dormitory?", filter="path!=dormitory.md")).hits
    lifted = next(h for h in open_ if h.path == "宿舍.md")
    assert lifted.rank <= 2 and lifted.stages["other language"].score >= other_language.SECOND
    assert [h.score for h in open_] == sorted((h.score for h in open_), reverse=True)
