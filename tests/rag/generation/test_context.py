from __future__ import annotations

from rag.generation.context import select, source_budget
from rag.generation.prompt_memory import PromptMemory
from rag.generation.token_estimate import estimate_tokens

from .sample import HITS, hit

FILLER = " ".join(f"Paragraph {i} speaks of shelves and boxes in room {i}." for i in range(40))
LONG = hit(4, f"{FILLER} The gate code of the east car park is 7714-K. {FILLER}", "Parking")


def test_a_short_chunk_is_shown_whole_and_a_long_one_by_the_sentence_that_matters() -> None:
    read = select("What is the gate code of the east car park?", [LONG, *HITS], 200)
    assert "7714-K" in read.sources[0].text and len(read.sources[0].text) < len(LONG.chunk.text) / 4
    assert read.sources[1].text == HITS[0].chunk.text


def test_the_budget_is_kept() -> None:
    for budget in (80, 150, 400):
        read = select("gate code", [LONG, *HITS], budget)
        assert sum(estimate_tokens(s.text) for s in read.sources) <= budget


def test_one_sentence_is_shown_even_when_it_is_longer_than_the_budget() -> None:
    assert len(select("gate code", [LONG], 5).sources) == 1


def test_numbers_follow_the_hits_that_are_shown() -> None:
    read = select("leave", [*HITS, HITS[0]], 300)
    assert [s.n for s in read.sources] == [1, 2, 3] and read.hits == HITS


def test_nothing_found_is_an_empty_context() -> None:
    assert select("x", [], 100).hits == ()


def test_the_budget_follows_model_and_machine() -> None:
    assert source_budget(1_117_320_768, 2, True) == 238
    assert source_budget(1_117_320_768, 2, False) == 200
    assert source_budget(491_400_064, 2, True) > 2 * source_budget(1_117_320_768, 2, True)
    assert source_budget(1_117_320_768, 64, True) == 900


def test_a_second_question_on_the_same_sources_begins_as_the_first_did() -> None:
    memory = PromptMemory()
    first = select("How many days of annual leave?", HITS, 300)
    memory.remember(first)
    hits = (HITS[2], HITS[0], HITS[1])  # another question orders them otherwise
    second = memory.reuse(select("成都的住宿标准是多少？", hits, 300), hits, 300)
    assert [s.text for s in second.sources] == [s.text for s in first.sources]
    assert [h.chunk.id for h in second.hits] == [1, 2, 3]


def test_a_source_that_the_caller_does_not_find_is_never_shown_again() -> None:
    memory = PromptMemory()
    memory.remember(select("leave", HITS, 300))
    visible = HITS[1:]
    assert HITS[0] not in memory.reuse(select("hotel", visible, 300), visible, 300).hits


def test_an_earlier_cut_without_the_sentence_needed_now_is_not_reused() -> None:
    memory = PromptMemory()
    memory.remember(select("shelves in room 3", [LONG], 60))
    wanted = select("What is the gate code of the east car park?", [LONG], 60)
    assert memory.reuse(wanted, [LONG], 60) == wanted
