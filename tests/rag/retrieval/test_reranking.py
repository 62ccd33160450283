"""Which reranker the settings name, and what a cross-encoder does to the list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from rag.errors import ModelUnavailable
from rag.retrieval.fields import Fields
from rag.retrieval.reranking import CrossEncoderReranking, NoReranking, SignalReranking, open_reranking
from rag.retrieval.retriever import HybridRetriever
from rag.settings import Settings
from rag.storage.collection import Collection
from rag.types import SearchRequest

from .conftest import document


class ShortestFirst:
    """A cross-encoder that likes short texts, whatever was asked."""

    def score(self, question: str, texts: Sequence[str]) -> np.ndarray:
        return np.array([-len(t) for t in texts], np.float32)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("auto", SignalReranking),
        ("none", NoReranking),
        ("BAAI/bge-reranker-base", CrossEncoderReranking),
    ],
)
def test_the_settings_name_the_reranker(settings: Settings, fields: Fields, name: str, kind: type) -> None:
    assert isinstance(open_reranking(replace(settings, reranker=name), fields), kind)


def test_a_cross_encoder_orders_the_list(
    collection: Collection, fields: Fields, settings: Settings, put: Callable[..., None]
) -> None:
    put(*[document(f"{n}.md", "pump seal " + " ".join(f"{w}{n}" for w in "abcdefgh"[:n])) for n in range(1, 8)])
    cross = CrossEncoderReranking("toy", lambda name: ShortestFirst())
    found = HybridRetriever(collection, fields, settings, reranking=cross).search(SearchRequest("pump seal", k=5))
    assert [h.path for h in found.hits] == [f"{n}.md" for n in range(1, 6)]
    assert found.hits[0].stages["rerank"].rank == 1
    assert found.notes == ()


def test_what_was_not_reranked_stays_behind_what_was(
    collection: Collection, fields: Fields, settings: Settings, put: Callable[..., None]
) -> None:
    put(*[document(f"{n:02}.md", f"pump number {n}") for n in range(30)])
    cross = CrossEncoderReranking("toy", lambda name: ShortestFirst())
    hits = HybridRetriever(collection, fields, settings, reranking=cross).search(SearchRequest("pump", k=30)).hits
    assert ["rerank" in h.stages for h in hits] == [True] * 20 + [False] * 10
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


def test_missing_weights_are_looked_for_once_and_said_every_time(
    collection: Collection, fields: Fields, settings: Settings, put: Callable[..., None]
) -> None:
    put(document("a.md", "pump"), document("b.md", "seal"))
    tried = []

    def load(name: str) -> None:
        tried.append(name)
        raise ModelUnavailable("no such weights")

    retriever = HybridRetriever(collection, fields, settings, reranking=CrossEncoderReranking("toy", load))
    results = [retriever.search(SearchRequest("pump")) for _ in range(2)]
    assert tried == ["toy"]
    assert all("reranker toy: no weights here" in r.notes[0] for r in results)
    assert results[0].hits[0].path == "a.md"
