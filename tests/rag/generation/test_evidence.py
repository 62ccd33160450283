"""Sentences held against sources: what is said, what is changed, what is somewhere else."""

from __future__ import annotations

import pytest

from rag.generation.evidence import Evidence, check

from .sample import LEAVE, TRAVEL, TRIP

SOURCES = [Evidence(1, LEAVE, "Leave policy"), Evidence(2, TRAVEL, "Travel"), Evidence(3, TRIP, "差旅制度")]


@pytest.mark.parametrize(
    ("sentence", "n"),
    [
        ("Full-time employees receive 23 days of annual leave.", 1),
        ("Unused days expire on March 31.", 1),
        ("Interns get no annual leave.", 1),
        ("You receive twenty-three days of annual leave.", 1),
        ("The hotel limit in Oslo is 2,150 kroner a night.", 2),
        ("2150 NOK", 2),
        ("出差到成都的住宿标准为每晚480元。", 3),
        ("成都的住宿標準為每晚四百八十元。", 3),
        ("高铁不得乘坐商务座。", 3),
    ],
)
def test_what_the_source_says_is_supported(sentence: str, n: int) -> None:
    verdict, numbers, reason, _ = check(sentence, [n], SOURCES)
    assert (verdict, numbers, reason) == ("supported", (n,), "")


@pytest.mark.parametrize(
    ("sentence", "n"),
    [
        ("Full-time employees receive 32 days of annual leave.", 1),
        ("Full-time employees receive 23 weeks of annual leave.", 1),
        ("Full-time employees do not receive 23 days of annual leave.", 1),
        ("Unused days expire on 30 April.", 1),
        ("Interns are entitled to annual leave.", 1),
        ("Employees may sell their leave to colleagues at a discount.", 1),
        ("The hotel limit in Bergen is 2,150 kroner a night.", 2),
        ("The hotel limit in Oslo is 2,150 euro a night.", 2),
        ("The hotel limit in Porto is 2,150 kroner a night.", 2),
        ("出差到成都的住宿标准为每晚840元。", 3),
        ("出差到成都的住宿标准为每晚480美元。", 3),
        ("出差到重庆的住宿标准为每晚480元。", 3),
        ("高铁可以乘坐商务座。", 3),
        ("高铁不得乘坐二等座。", 3),
    ],
)
def test_an_altered_sentence_is_flagged(sentence: str, n: int) -> None:
    verdict, _, reason, _ = check(sentence, [n], SOURCES)
    assert verdict != "supported" and reason


def test_a_wrong_citation_is_repaired_to_the_source_that_supports_the_sentence() -> None:
    sentence = "The hotel limit in Oslo is 2,150 kroner a night."
    assert check(sentence, [1], SOURCES)[:2] == ("supported", (2,))
    assert check(sentence, [9], SOURCES)[:2] == ("supported", (2,))
    assert check(sentence, [], SOURCES)[:2] == ("supported", (2,))
    assert check(sentence, [1], SOURCES, repair=False)[0] == "unsupported"


def test_a_sentence_over_two_sources_is_supported_by_both() -> None:
    sentence = (
        "Full-time employees receive 23 days of annual leave, and the hotel limit in Oslo is 2,150 kroner a night."
    )
    assert check(sentence, [1, 2], SOURCES)[:2] == ("supported", (1, 2))


def test_the_finding_points_at_the_sentence_that_says_it() -> None:
    _, _, _, findings = check("Unused days expire on 31 March.", [1], SOURCES)
    start, end = findings[1].span
    assert LEAVE[start:end] == "Unused days expire on 31 March."


def test_similarity_decides_about_wording_but_never_about_facts() -> None:
    def alike(_: str, texts: object) -> list[float]:
        return [0.99] * len(list(texts))  # type: ignore[call-overload]

    assert check("员工有23天年假。", [1], SOURCES[:1])[0] == "partly"
    assert check("员工有23天年假。", [1], SOURCES[:1], similarity=alike)[0] == "supported"
    assert check("员工有32天年假。", [1], SOURCES[:1], similarity=alike)[0] == "unsupported"
