"""Where a wrong answer was lost, and the arms that swap steps for perfect ones, on a small real collection."""

from __future__ import annotations

from collections.abc import Callable

from eval.arms import DistractorRetriever, OracleRetriever
from eval.attribution import attribute, count
from eval.given import Given
from eval.golden import GoldenQuestion, GoldSpan
from eval.passages import gold_chunks
from rag.retrieval.retriever import HybridRetriever
from rag.storage.collection import Collection
from rag.types import SearchRequest
from tests.rag.retrieval.conftest import collection, document, fields, put, retriever

__all__ = ["collection", "fields", "put", "retriever"]  # fixtures

LEAVE = document("leave.md", "Annual leave is 23 days.|Parental leave is 20 weeks.")
OTHERS = [document(f"other-{i}.md", f"Gate {i} opens at {i} o'clock.") for i in range(6)]
QUESTION = GoldenQuestion(
    "q", "How long is parental leave?", ("20 weeks",), documents=("leave.md",),
    spans=(GoldSpan("leave.md", "Parental leave is 20 weeks."),),
)  # fmt: skip


def _wrong(*offered: str, status: str = "answered") -> Given:
    return Given("rag", "q", "three days", status, offered=offered)  # type: ignore[arg-type]


def _step(q: GoldenQuestion, g: Given, c: Collection, r: HybridRetriever, k: int = 3) -> str:
    return attribute(q, g, c.snapshot(), r, k)


def test_the_gold_chunk_is_the_one_with_the_quote(collection: Collection, put: Callable[..., None]) -> None:
    put(LEAVE, *OTHERS, cut=True)
    (chunk,) = gold_chunks(collection.snapshot(), QUESTION)
    assert chunk.text == "Parental leave is 20 weeks."


def test_each_step_is_told_apart(collection: Collection, put: Callable[..., None], retriever: HybridRetriever) -> None:
    put(LEAVE, *OTHERS, cut=True)
    elsewhere = GoldenQuestion("q", "x?", ("y",), documents=("missing.md",))
    assert _step(elsewhere, _wrong(), collection, retriever) == "not in corpus"
    misread = GoldenQuestion(
        "q", "x?", ("y",), documents=("leave.md",), spans=(GoldSpan("leave.md", "Completely other words"),)
    )
    assert _step(misread, _wrong(), collection, retriever) == "lost in parsing"
    parted = GoldenQuestion(
        "q", "leave?", ("20",), documents=("leave.md",),
        spans=(GoldSpan("leave.md", "Annual leave is 23 days. Parental leave is 20 weeks."),),
    )  # fmt: skip
    assert _step(parted, _wrong(), collection, retriever) == "lost in chunking"
    assert _step(QUESTION, _wrong("other-1.md"), collection, retriever) == "context cut"
    assert _step(QUESTION, _wrong("leave.md"), collection, retriever) == "ignored by the model"
    assert _step(QUESTION, _wrong("leave.md", status="abstained"), collection, retriever) == "refused wrongly"
    nothing = GoldenQuestion("q", "Who?", kind="unanswerable")
    assert _step(nothing, _wrong(), collection, retriever) == "answered what nothing answers"


def test_steps_are_counted_in_the_order_of_the_way() -> None:
    assert list(count({"a": "ignored by the model", "b": "dense", "c": "dense"}).items()) == [
        ("dense", 2),
        ("ignored by the model", 1),
    ]


def test_the_oracle_offers_the_gold_alone(collection: Collection, put: Callable[..., None]) -> None:
    put(LEAVE, *OTHERS, cut=True)
    result = OracleRetriever(collection, [QUESTION]).search(SearchRequest(QUESTION.question))
    assert [h.chunk.text for h in result.hits] == ["Parental leave is 20 weeks."]
    assert (result.hits[0].path, result.generation) == ("leave.md", collection.generation)


def test_distractors_are_what_a_search_finds_besides_the_gold(
    collection: Collection, put: Callable[..., None], retriever: HybridRetriever
) -> None:
    copy = document("copy.md", "A copy says that it is 20 weeks of leave.")
    put(LEAVE, copy, *OTHERS, cut=True)
    hits = DistractorRetriever(retriever, [QUESTION]).search(SearchRequest(QUESTION.question, k=3)).hits
    assert {h.path for h in hits}.isdisjoint({"leave.md", "copy.md"})
    assert [h.rank for h in hits] == list(range(1, len(hits) + 1))
