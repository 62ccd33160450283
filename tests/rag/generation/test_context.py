from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from rag.generation.context import growing, ranked, select, source_budget
from rag.generation.prompt_memory import PromptMemory
from rag.generation.token_estimate import estimate_tokens
from rag.retrieval.other_language import LIKELY
from rag.types import StageScore

from .sample import HITS, LEAVE, TRAVEL, hit

FILLER = " ".join(f"Paragraph {i} speaks of shelves and boxes in room {i}." for i in range(40))
LONG = hit(4, f"{FILLER} The gate code of the east car park is 7714-K. {FILLER}", "Parking")


def test_a_short_chunk_is_shown_whole_and_a_long_one_by_the_sentence_that_matters() -> None:
    read = select("What is the gate code of the east car park?", [LONG, *HITS], 200)
    assert "7714-K" in read.sources[0].text and len(read.sources[0].text) < len(LONG.chunk.text) / 4
    assert (
        select("When do unused days of annual leave expire for full-time employees and interns?", HITS[:1], 200)
        .sources[0]
        .text
        == LEAVE
    )


def test_the_budget_is_kept() -> None:
    for budget in (80, 150, 400):
        read = select("gate code", [LONG, *HITS], budget)
        assert sum(estimate_tokens(s.text) for s in read.sources) <= budget


def test_what_stands_out_is_enough_unless_several_things_are_asked_for() -> None:
    question = "What is the gate code of the east car park?"
    plain = select(question, [LONG], 300)
    assert "7714-K" in plain.sources[0].text and plain.tokens < 100
    assert select(question, [LONG], 300, several=True).tokens > 250
    assert select(question, [LONG], 1200).tokens > plain.tokens  # who reads more in the same time is shown more


def test_the_whole_budget_is_used_where_the_answer_is_likely_in_another_language() -> None:
    filler = "".join(f"第{n}条说的是货架和纸箱。" for n in range(40))
    chinese = hit(9, f"{filler}东停车场的门禁码是7714-K。{filler}", "停车场")
    question = "What is the gate code 7714-K for?"

    def shown(chance: float) -> int:
        of = replace(
            chinese, chunk=replace(chinese.chunk, language="zh"), stages={"other language": StageScore(1, chance)}
        )
        return select(question, [of], 300).tokens

    assert shown(LIKELY) > 250 > shown(LIKELY / 2)


def test_one_sentence_is_shown_even_when_it_is_longer_than_the_budget() -> None:
    assert len(select("gate code", [LONG], 5).sources) == 1


def test_numbers_follow_the_hits_that_are_shown() -> None:
    read = select("annual leave and the hotel limit", [*HITS[:2], HITS[0]], 300)
    assert [s.n for s in read.sources] == [1, 2] and read.hits == HITS[:2]


def test_a_source_in_another_language_is_shown_although_no_word_matches() -> None:
    read = select("What is the hotel limit in Chengdu?", [HITS[2]], 200)
    assert "480元" in read.sources[0].text


def test_a_row_is_shown_with_the_head_of_its_table() -> None:
    rows = "\n".join(f"| Part {i} | {i * 7} euro | {i} weeks |" for i in range(1, 40))
    table = hit(
        5,
        f"The list of this year.\n| Part | Price | Delivery |\n| --- | --- | --- |\n{rows}\nPrices without tax.",
        "Prices",
    )
    shown = select("What does Part 23 cost?", [table], 60).sources[0].text
    assert shown.startswith("| Part | Price | Delivery |\n| --- | --- | --- |\n")
    assert "\n| Part 23 | 161 euro | 23 weeks |" in shown
    assert "Part 39" not in shown


def test_a_question_in_a_text_is_shown_with_its_answer() -> None:
    asked = "Q: May visitors enter the boiler house? A: Never without the shift leader."
    shown = select("boiler house visitors", [hit(6, f"{FILLER} {asked} {FILLER}", "Questions")], 45).sources[0].text
    assert "Never without the shift leader" in shown


def test_what_held_once_comes_last_unless_it_is_asked_for() -> None:
    old = hit(7, "The warranty was 18 months.", "Warranty > Previous rules")
    new = hit(8, "The warranty is 24 months.", "Warranty > Terms")
    assert [h.title for h in select("How long is the warranty?", [old, new], 200).hits] == [new.title, old.title]
    assert select("How long was the warranty?", [old, new], 200).hits[0] == old


def test_nothing_found_is_an_empty_context() -> None:
    assert select("x", [], 100).hits == ()


def test_the_budget_follows_model_and_machine() -> None:
    assert source_budget(1_117_320_768, 2, True) == 421
    assert source_budget(1_117_320_768, 2, False) == 360
    assert source_budget(491_400_064, 2, True) > 2 * source_budget(1_117_320_768, 2, True)
    assert source_budget(1_117_320_768, 64, True) == 900


def test_a_question_on_sources_that_were_read_whole_begins_as_that_prompt_did() -> None:
    memory = PromptMemory()
    for context in growing(HITS[:2], 300, 20):
        memory.remember(context)
    hits = (HITS[1], HITS[2], HITS[0])  # the new question orders them otherwise
    again = memory.reuse(select("What is the hotel limit in Porto?", hits, 300), hits, 300)
    assert [s.text for s in again.sources] == [LEAVE, TRAVEL]
    assert [h.chunk.id for h in again.hits] == [1, 2]


def test_no_more_of_an_earlier_prompt_is_shown_than_the_question_needs() -> None:
    memory = PromptMemory()
    for context in growing(HITS, 600, 20):
        memory.remember(context)
    hits = (HITS[1], HITS[0])  # the third source is not among them: what stands before it can be shown
    again = memory.reuse(select("What is the hotel limit in Porto?", hits, 300), hits, 300)
    assert [s.text for s in again.sources] == [LEAVE, TRAVEL]
    first = memory.reuse(select("How many days of leave do interns receive?", hits, 300), hits, 300)
    assert [s.text for s in first.sources] == [LEAVE]


def test_what_an_engine_has_given_up_is_not_shown_again() -> None:
    memory = PromptMemory()
    for context in growing(HITS, 600, 20):
        memory.remember(context)
    porto = select("What is the hotel limit in Porto?", HITS, 300)
    assert memory.holding(porto, HITS) is not None
    memory.remember(select("成都的住宿标准是多少？", HITS[2:], 300))  # begins otherwise
    assert memory.holding(porto, HITS) is not None
    memory.remember(
        next(iter(growing(HITS[:1], 600, 600)))
    )  # the beginning of what was read whole, and then a question
    assert memory.holding(porto, HITS) is None
    for n in range(40):  # far more than an engine keeps
        long = hit(100 + n, "A sentence about shelves in the store. " * 120, f"Shelves {n}")
        memory.remember([*growing([long], 2000, 2000)][-1])
        assert memory.holding(select("shelves in the store", [long], 300), [long]) is not None
    first = hit(100, "A sentence about shelves in the store. " * 120, "Shelves 0")
    assert memory.holding(select("shelves in the store", [first], 300), [first]) is None


def test_of_a_table_only_the_rows_are_shown_that_speak_of_what_is_asked() -> None:
    head = "| Part | Description | Price |\n| --- | --- | --- |\n"
    rows = [
        f"| K-{n} | {what} for the Firefly lamp | {n}0 |"
        for n, what in enumerate(("Lens", "Driver", "Hook", "Cable"), 1)
    ]
    table = hit(5, head + "\n".join(rows), "Prices")
    (source,) = select("What does the driver for the Firefly cost?", [table], 400, several=True).sources
    assert rows[1] in source.text and source.text.startswith("| Part")
    assert not any(row in source.text for row in (rows[0], *rows[2:]))
    assert select("What does the Firefly cost?", [table], 400, several=True).sources[0].text == table.chunk.text


def test_what_is_read_ahead_grows_by_a_step_or_a_sentence_and_ends_with_all_that_fits() -> None:
    steps = list(growing([LONG, *HITS], 200, 30))
    assert len(steps) > 3 and steps[-1].tokens <= 200 < [*growing([LONG, *HITS], 10_000, 30)][-1].tokens
    for before, after in pairwise(steps):
        assert before.tokens < after.tokens <= before.tokens + 60
        assert after.sources[: len(before.sources) - 1] == before.sources[:-1]
        assert after.sources[len(before.sources) - 1].text.startswith(before.sources[-1].text)
    assert [s.text for s in [*growing(HITS[:2], 10_000, 30)][-1].sources] == [h.chunk.text for h in HITS[:2]]
    assert list(growing([LONG], 5, 30)) == []


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


def test_words_tell_in_another_language_once_the_question_is_translated() -> None:
    hits = [hit(1, "The canteen opens at noon. A hotel in Oslo costs 2,150 kroner.", "Travel")]
    assert len(ranked("奥斯陆的住宿标准是多少？", hits)) == 2
    found = ranked("奥斯陆的住宿标准是多少？", hits, translated={"en": "What may a hotel in Oslo cost?"})
    (_, best, score), *others = found
    assert hits[0].chunk.text[slice(*best)].startswith("A hotel in Oslo")
    assert all(score > 2 * other for _, _, other in others)
