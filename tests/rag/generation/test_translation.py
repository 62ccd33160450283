"""A question whose answer is likely in another language: searched for in that language too, inside the same permissions."""

from __future__ import annotations

from dataclasses import replace
from threading import Event

import pytest

from rag.generation.context import select
from rag.generation.prompting import asks_for_translation
from rag.generation.translation import likely_elsewhere, searched, translated
from rag.types import Hit, SearchRequest, SearchResult, StageScore

from .sample import HITS, Scripted, hit

ASKED = "What is the hotel limit in Chengdu?"
CHINESE = "成都的住宿标准是多少？"
GATE = hit(4, "员工食堂的午餐每份18元。停车场在东门。", "后勤")


class Indexed:
    """A retriever that notes its searches: in English it finds the travel rules first, in Chinese the Chinese ones."""

    def __init__(self, chance: float) -> None:
        self.requests: list[SearchRequest] = []
        lifted = replace(_of(GATE, "zh"), stages={"other language": StageScore(1, chance)} if chance else {})
        self.first = (_of(HITS[1], "en"), lifted, _of(HITS[0], "en"))

    def search(self, request: SearchRequest) -> SearchResult:
        self.requests.append(request)
        hits = self.first if request.question == ASKED else (_of(HITS[2], "zh"), _of(GATE, "zh"))
        return SearchResult(hits, 7, 0.0, request.question)


def _of(one: Hit, language: str) -> Hit:
    return replace(one, chunk=replace(one.chunk, language=language))


def test_the_other_language_is_searched_in_its_own_words_and_within_the_same_bounds() -> None:
    retriever, model = Indexed(0.7), Scripted(CHINESE)
    request = SearchRequest(ASKED, groups=frozenset({"staff"}), filter="type=md")
    result, wordings = searched(request, retriever, model)
    assert wordings == {"zh": CHINESE}
    assert [h.chunk.id for h in result.hits] == [3, 2, 4, 1]
    assert [h.rank for h in result.hits] == [1, 2, 3, 4]
    again = retriever.requests[1]
    assert (again.groups, again.as_of, again.filter) == (request.groups, 7, "type=md lang=zh")
    assert again.question == f"{CHINESE} {ASKED}" and result.query == ASKED


@pytest.mark.parametrize("chance", [0.0, 0.14])
def test_no_model_is_asked_where_the_answer_is_hardly_elsewhere(chance: float) -> None:
    retriever, model = Indexed(chance), Scripted(CHINESE)
    result, wordings = searched(SearchRequest(ASKED), retriever, model)
    assert (len(retriever.requests), model.asked, wordings) == (1, [], {})
    assert result.hits == retriever.first


def test_without_a_model_to_translate_the_search_is_as_it_was() -> None:
    retriever = Indexed(0.7)
    assert searched(SearchRequest(ASKED), retriever, None)[0].hits == retriever.first


@pytest.mark.parametrize("said", ["The hotel limit in Chengdu?", "", "?!"])
def test_what_is_no_translation_changes_nothing(said: str) -> None:
    retriever = Indexed(0.7)
    result, wordings = searched(SearchRequest(ASKED), retriever, Scripted(said))
    assert result.hits == retriever.first and not wordings and len(retriever.requests) == 1


def test_who_is_cut_off_while_translating_is_not_searched_for_again() -> None:
    retriever, gone = Indexed(0.7), Event()
    gone.set()
    searched(SearchRequest(ASKED), retriever, Scripted(CHINESE), gone)
    assert len(retriever.requests) == 1


def test_only_the_first_line_is_the_question() -> None:
    assert translated(ASKED, "zh", Scripted(f"{CHINESE}\n注：成都是一座城市。")) == CHINESE
    assert asks_for_translation(ASKED, "ru") is None and translated(ASKED, "ru", Scripted(CHINESE)) == ""


def test_a_hit_in_the_language_of_the_question_is_not_elsewhere() -> None:
    own = replace(_of(HITS[0], "en"), stages={"other language": StageScore(1, 0.7)})
    assert likely_elsewhere(ASKED, [own]) == ("", 0.7)


def test_sentences_in_the_other_language_are_chosen_by_their_own_words() -> None:
    rows = "".join(f"第{n}条说的是货架、纸箱和搬运。" for n in range(40))
    long = _of(hit(5, f"{rows}到成都出差，住宿标准为每晚480元。{rows}", "差旅"), "zh")
    assert "480" not in "".join(s.text for s in select(ASKED, [long], 120).sources)
    assert "480" in select(ASKED, [long], 120, translated={"zh": CHINESE}).sources[0].text
