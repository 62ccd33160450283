from __future__ import annotations

import pytest

from rag.generation.facts import facts
from rag.generation.wording import negations
from rag.index.tokenization import fold


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("a limit of 2,150 kroner a night", 2150, "NOK"),
        ("每晚四百八十元", 480, "CNY"),
        ("每晚４８０元", 480, "CNY"),
        ("the budget is 4.2 million euro", 4_200_000, "EUR"),
        ("预算为420万欧元", 4_200_000, "EUR"),
        ("it rose by 12 percent", 12, "%"),
        ("百分之十二", 12, "%"),
        ("额定功率为 3.5 千瓦", 3.5, "kW"),
        ("rated 3.5kW", 3.5, "kW"),
        ("within twenty-one days", 21, "day"),
        ("$300 each", 300, "USD"),
        ("五千元以上", 5000, "CNY"),
    ],
)
def test_a_quantity_is_a_value_with_a_unit_in_both_languages(text: str, value: float, unit: str) -> None:
    assert [(q.value, q.unit) for q in facts(text).quantities] == [(value, unit)]


@pytest.mark.parametrize(
    "text", ["on 31 March 2026", "March 31, 2026", "2026-03-31", "2026年3月31日", "on the 31st of March 2026"]
)
def test_a_date_is_the_same_however_it_is_written(text: str) -> None:
    (date,) = facts(text).dates
    assert (date.year, date.month, date.day) == (2026, 3, 31)


def test_identifiers_are_compared_without_hyphens() -> None:
    assert facts("pump BW-310, fault E-19").identifiers == {"bw310", "e19"}


def test_names_are_found_in_both_languages_and_the_first_word_of_a_sentence_is_no_name() -> None:
    assert facts("Employees fly to Oslo with Otter Air.").names == {"oslo", "otter", "air"}
    assert "重庆" in facts("出差到重慶的住宿标准").names


def test_words_after_a_negation_are_told_apart_from_the_others() -> None:
    f = facts("高铁可以乘坐二等座，不得乘坐商务座。")
    assert "商务" in f.negated and "商务" not in f.plain and "二等" in f.plain


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("不得乘坐", 1),
        ("不锈钢的非常好", 0),
        ("不超过30天", 0),
        ("no more than 30 days", 0),
        ("not entitled", 1),
        ("别的部门没有", 1),
    ],
)
def test_only_real_negations_count(text: str, count: int) -> None:
    assert negations(fold(text)) == count
