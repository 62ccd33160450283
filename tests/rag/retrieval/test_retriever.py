"""The search as callers see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rag.errors import NotFound, UsageError
from rag.retrieval.fields import Fields
from rag.retrieval.retriever import HybridRetriever
from rag.settings import Settings
from rag.storage.collection import Collection
from rag.types import Chunk, Message, Page, SearchRequest

from .conftest import document

Put = Callable[..., None]


@pytest.fixture
def shelf(put: Put) -> None:
    put(
        document("pump.md", "The seal of pump PX-77 is replaced every 900 hours."),
        document("fan.md", "The belt of fan FX-12 is replaced every 300 hours."),
        document("leave.md", "Every employee has thirty days of paid annual leave."),
        document("payroll.md", "Salaries are paid on the last day of the month.", groups=frozenset({"finance"})),
        document("假期.md", "员工每年享有带薪休假十四天。"),
    )


def paths(retriever: HybridRetriever, question: str, **options: object) -> list[str]:
    return [h.path for h in retriever.search(SearchRequest(question, **options)).hits]  # type: ignore[arg-type]


@pytest.mark.usefixtures("shelf")
class TestShelf:
    @pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
    def test_every_mode_finds_it_and_sorts_by_score(self, retriever: HybridRetriever, mode: str) -> None:
        hits = retriever.search(SearchRequest("pump seal", mode=mode)).hits  # type: ignore[arg-type]
        assert hits[0].path == "pump.md"
        assert [h.rank for h in hits] == list(range(1, len(hits) + 1))
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)

    def test_keyword_search_gives_only_chunks_with_a_word(self, retriever: HybridRetriever) -> None:
        assert paths(retriever, "annual leave", mode="keyword") == ["leave.md"]

    def test_full_width_and_traditional_are_folded(self, retriever: HybridRetriever) -> None:
        assert paths(retriever, "ＰＸ－７７", mode="keyword")[0] == "pump.md"
        assert paths(retriever, "員工帶薪休假", mode="keyword")[0] == "假期.md"

    def test_a_caller_sees_public_documents_and_those_of_its_groups(self, retriever: HybridRetriever) -> None:
        assert "payroll.md" in paths(retriever, "salaries paid", groups=frozenset({"finance"}))
        assert "payroll.md" not in paths(retriever, "salaries paid", groups=frozenset({"staff"}))
        assert paths(retriever, "salaries paid", groups=frozenset()) == []

    def test_a_filter_holds(self, retriever: HybridRetriever) -> None:
        assert paths(retriever, "replaced every hours", filter="path=fan*") == ["fan.md"]

    def test_a_broken_filter_is_refused(self, retriever: HybridRetriever) -> None:
        with pytest.raises(UsageError, match="unknown field"):
            paths(retriever, "pump", filter="colour=red")

    def test_an_unknown_generation_is_refused(self, retriever: HybridRetriever) -> None:
        with pytest.raises(NotFound, match="generation 99"):
            paths(retriever, "pump", as_of=99)

    def test_stages_and_matched_terms_explain_a_hit(self, retriever: HybridRetriever) -> None:
        hit = retriever.search(SearchRequest("PX-77 seal", explain=True)).hits[0]
        assert {"keyword", "words", "dense", "fusion"} <= set(hit.stages)
        assert hit.stages["keyword"].rank == hit.stages["fusion"].rank == 1
        assert {"px-77", "seal"} <= set(hit.matched_terms)

    def test_a_hit_without_a_word_of_the_question_has_no_keyword_stage(self, retriever: HybridRetriever) -> None:
        hits = retriever.search(SearchRequest("pump seal")).hits
        assert "keyword" not in next(h for h in hits if h.path == "假期.md").stages

    def test_a_follow_up_is_searched_with_what_it_is_about(self, retriever: HybridRetriever) -> None:
        history = (
            Message("user", "When is the belt of the fan replaced?"),
            Message("assistant", "Every 300 hours [1]."),
        )
        result = retriever.search(SearchRequest("How often exactly is it done?", history=history))
        assert result.hits[0].path == "fan.md"
        assert result.query == "When is the belt of the fan replaced? How often exactly is it done?"

    def test_both_parts_of_a_question_are_found(self, retriever: HybridRetriever) -> None:
        found = paths(
            retriever, "How many days of annual leave do I get, and when is the seal of the pump replaced?", k=2
        )
        assert set(found) == {"leave.md", "pump.md"}

    def test_only_some_lists_can_be_searched(self, collection: Collection, fields: Fields, settings: Settings) -> None:
        alone = HybridRetriever(collection, fields, settings, only=frozenset({"keyword"}))
        assert paths(alone, "annual leave") == ["leave.md"]

    def test_why_not_names_the_stage(self, retriever: HybridRetriever) -> None:
        def stage(name: str, **options: object) -> object:
            request = SearchRequest("pump seal", why_not=name, **options)  # type: ignore[arg-type]
            why = retriever.search(request).why_not
            assert why is not None and why["reason"]
            return why["stage"]

        assert stage("pump.md") == "found"
        assert stage("leave.md", k=1) in ("fusion", "rerank")
        assert stage("leave.md", mode="keyword") == "candidates"
        assert stage("leave.md", filter="path=fan*") == "filter"
        assert stage("nowhere.md") == "collection"

    def test_why_not_does_not_tell_what_a_caller_may_not_see(self, retriever: HybridRetriever) -> None:
        def why(name: str) -> object:
            request = SearchRequest("salaries", groups=frozenset({"staff"}), why_not=name)
            return {**(retriever.search(request).why_not or {}), "document": ""}

        assert why("payroll.md") == why("nowhere.md")

    def test_without_weights_a_named_reranker_leaves_the_ranking_and_says_so(
        self, collection: Collection, fields: Fields, settings: Settings
    ) -> None:
        named = HybridRetriever(collection, fields, replace(settings, reranker="/nowhere/at-all"))
        result = named.search(SearchRequest("pump seal"))
        assert result.hits[0].path == "pump.md"
        assert "/nowhere/at-all" in result.notes[0]


class TestVersions:
    @pytest.fixture
    def versions(self, put: Put) -> None:
        put(
            document("pump-2024.md", "The seal of pump PX-77 is replaced every 900 hours.", date="2024-03-01"),
            document("pump-2026.md", "The seal of pump PX-77 is replaced every 1,100 hours.", date="2026-03-01"),
            document("fan.md", "The belt of fan FX-12 is replaced every 300 hours."),
            superseded={"d-pump-2024.md": "d-pump-2026.md"},
        )

    @pytest.mark.usefixtures("versions")
    def test_a_superseded_document_gives_way_to_the_newer(self, retriever: HybridRetriever) -> None:
        result = retriever.search(SearchRequest("PX-77", why_not="pump-2024.md"))
        assert [h.path for h in result.hits if "pump" in h.path] == ["pump-2026.md"]
        assert result.why_not is not None
        assert result.why_not["stage"] == "superseded"

    @pytest.mark.usefixtures("versions")
    def test_a_question_that_names_the_old_version_finds_it(self, retriever: HybridRetriever) -> None:
        assert "pump-2024.md" in paths(retriever, "PX-77 in the 2024 manual")

    @pytest.mark.usefixtures("versions")
    def test_the_old_version_is_found_where_the_newer_is_filtered_out(self, retriever: HybridRetriever) -> None:
        assert paths(retriever, "PX-77", filter="date<2025-01-01") == ["pump-2024.md"]

    def test_the_old_version_is_found_by_who_may_not_see_the_newer(self, put: Put, retriever: HybridRetriever) -> None:
        put(
            document("a-2024.md", "The seal lasts 900 hours."),
            document("a-2026.md", "The seal lasts 1,100 hours.", groups=frozenset({"board"})),
            superseded={"d-a-2024.md": "d-a-2026.md"},
        )
        assert paths(retriever, "seal hours", groups=frozenset({"staff"})) == ["a-2024.md"]


def test_a_hit_carries_how_well_its_page_was_read(
    collection: Collection, fields: Fields, retriever: HybridRetriever
) -> None:
    scanned = document("scan.pdf", "The seal lasts 900 hours.", pages=(Page(1, (0, 25), text_score=0.4, ocr=True),))
    chunk = Chunk(-1, scanned.id, scanned.text, (0, 25), page=1)
    with collection.writer() as writer:
        writer.put(scanned, [chunk], fields.embed([chunk]))
        writer.commit("test")
    assert retriever.search(SearchRequest("seal")).hits[0].text_score == 0.4


def test_an_empty_collection_finds_nothing(retriever: HybridRetriever) -> None:
    assert retriever.search(SearchRequest("anything")).hits == ()


def test_scores_of_a_hybrid_search_are_between_0_and_1(put: Put, retriever: HybridRetriever) -> None:
    put(*[document(f"{i}.md", f"number {i} of the words") for i in range(30)])
    scores = [h.score for h in retriever.search(SearchRequest("number 7")).hits]
    assert np.all((np.array(scores) > 0) & (np.array(scores) < 1))
