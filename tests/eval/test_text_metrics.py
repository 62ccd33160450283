"""Text measures, by hand and against independent implementations."""

from __future__ import annotations

import pytest

from eval.text_metrics import chrf, exact_match, f1, fact_recall, rouge_l, states, tokens


def test_chinese_is_compared_by_character_and_the_rest_by_word() -> None:
    assert tokens("年假23天，即 annual leave") == ["年", "假", "23", "天", "即", "annual", "leave"]


def test_citations_articles_and_thousands_marks_are_no_part_of_an_answer() -> None:
    assert tokens("The limit is 1,200 euro [1], [2, 3].") == ["limit", "is", "1200", "euro"]
    assert exact_match("The limit is 1,200 euro [1].", ["limit is 1200 Euro"]) == 1.0


def test_full_width_is_the_same_as_half_width() -> None:
    assert exact_match("２３天", ["23天"]) == 1.0


def test_f1_counts_common_tokens_once_each() -> None:
    # said: you get 23 days (4), wanted: 23 days (2), common 2 -> 2*2/6
    assert f1("You get 23 days", ["23 days"]) == pytest.approx(2 / 3)
    assert f1("days days days", ["days"]) == pytest.approx(0.5)
    assert f1("", ["23"]) == 0.0


def test_the_nearest_reference_counts() -> None:
    assert f1("23", ["forty days", "23"]) == 1.0


def test_rouge_l_follows_the_order() -> None:
    # longest common subsequence of "a b c d" and "b a c d" (letters as words) is 3 -> 2*3/8
    assert rouge_l("w b c d", ["b w c d"]) == pytest.approx(0.75)


def test_chrf_is_that_of_sacrebleu_for_clean_text() -> None:
    from sacrebleu import sentence_chrf

    said, wanted = "the cat sat on the mat", "the cat is on the mat"
    assert chrf(said, [wanted]) == pytest.approx(sentence_chrf(said, [wanted]).score / 100)
    assert chrf(f"{said} [1]", [wanted]) == chrf(said, [wanted])


@pytest.mark.parametrize(
    ("text", "wording", "found"),
    [
        ("You get 23 days.", "23 days", True),
        ("You get 230 days.", "23", False),
        ("The part is PX-77.", "PX-77", True),
        ("每年有二十三天年假", "二十三天", True),
        ("价格为1,200元。", "1200元", True),
        ("anything", "", False),
    ],
)
def test_a_wording_is_stated_as_whole_tokens(text: str, wording: str, found: bool) -> None:
    assert states(text, wording) is found


def test_fact_recall_is_the_share_of_facts_in_any_wording() -> None:
    facts = [("HC4-SD8", "memory card"), ("31 euro", "31.00")]
    assert fact_recall("Order the memory card.", facts) == 0.5
    assert fact_recall("HC4-SD8, 31 euro", facts) == 1.0
