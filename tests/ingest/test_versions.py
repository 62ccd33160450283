"""Versions are told from series and from other documents, and copies of one text are one."""

from __future__ import annotations

import pytest

from ingest.versions import Fingerprint, family_key, fingerprint, similarity, superseded
from rag.types import Document

BODY = "The seal of the pump is replaced every {0} hours by a trained person. The oil is changed after {1} days. Spare parts come from the store."
OTHER = "Visitors sign in at the gate and wear a badge. Cars are parked behind the hall. Photographs are not allowed in the laboratory at any time."


def made(path: str, title: str, text: str, root: str = "/r") -> Fingerprint:
    return fingerprint(Document(path, title, text, path, root, "h"))


def test_of_two_years_the_later_is_newest() -> None:
    old, new = (
        made("pump-2024.md", "Pump manual", BODY.format(900, 30)),
        made("pump-2026.md", "Pump manual", BODY.format(1100, 45)),
    )
    assert superseded([old, new]) == {"pump-2024.md": "pump-2026.md"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("manual_v1.2.pdf", "Manual v1.2"), ("manual_v1.10.docx", "Manual v1.10")),
        (("休假办法2024.docx", "休假办法（2024年版，已废止）"), ("休假办法2026.md", "休假办法（2026年版）")),
        (("archive/2024/leave.md", "Leave policy 2024"), ("leave.md", "Leave policy 2026")),
        (("规程第一版.md", "规程"), ("规程第二版.md", "规程")),
    ],
)
def test_version_marks_in_names_and_titles_count(old: tuple[str, str], new: tuple[str, str]) -> None:
    a, b = made(*old, BODY.format(1, 2)), made(*new, BODY.format(3, 4))
    assert superseded([b, a]) == {old[0]: new[0]}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("minutes-2026-04.md", "Minutes April 2026"), ("minutes-2026-05.md", "Minutes May 2026")),
        (("annual-report-2023.pdf", "Annual report 2023"), ("annual-report-2024.pdf", "Annual report 2024")),
        (("invoice-031.pdf", "Invoice 031"), ("invoice-032.pdf", "Invoice 032")),
        (("a/contract-v1.docx", "Contract"), ("b/contract-v2.docx", "Contract")),
        (("3M_2018_10K.pdf", "3M 10-K"), ("3M_2022_10K.pdf", "3M 10-K")),
        (("pump-a.md", "Pump A"), ("pump-b.md", "Pump B")),
        (("readme.md", "Readme"), ("sub/readme.md", "Readme")),
        (("年度预算2025.xlsx", "年度预算2025"), ("年度预算2026.xlsx", "年度预算2026")),
    ],
)
def test_series_and_neighbours_are_not_versions(first: tuple[str, str], second: tuple[str, str]) -> None:
    a, b = made(*first, BODY.format(1, 2)), made(*second, BODY.format(3, 4) + " One more sentence.")
    assert superseded([a, b]) == {}


def test_the_same_name_over_another_text_is_another_document() -> None:
    assert superseded([made("guide-2024.md", "Guide", BODY.format(1, 2)), made("guide-2026.md", "Guide", OTHER)]) == {}


def test_of_three_versions_both_older_ones_point_to_the_newest() -> None:
    prints = [made(f"pump-{y}.md", "Pump", BODY.format(y, 3)) for y in (2020, 2022, 2024)]
    assert superseded(prints) == {"pump-2020.md": "pump-2024.md", "pump-2022.md": "pump-2024.md"}


def test_copies_of_one_text_have_one_that_is_shown_whatever_the_format() -> None:
    text = OTHER + " " + BODY.format(5, 6)
    prints = [
        made("export/guide (1).pdf", "Guide", text.replace(". ", ".\n\n")),
        made("guide.docx", "Visitor guide", text),
    ]
    assert superseded(prints) == {"export/guide (1).pdf": "guide.docx"}


def test_short_equal_texts_are_no_copies() -> None:
    assert superseded([made("a.md", "A", "No entries."), made("b.md", "B", "No entries.")]) == {}


def test_similarity_is_near_the_jaccard_of_masked_triples() -> None:
    words = [f"w{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(300)]
    a, b = made("a", "t", " ".join(words[:200])), made("b", "t", " ".join(words[100:]))
    assert abs(similarity(a, b) - 98 / 298) < 0.15
    assert similarity(a, a) == 1.0 and similarity(a, made("c", "t", OTHER)) == 0.0


def test_a_fingerprint_survives_its_json() -> None:
    one = made("pump-2024.md", "Pump", BODY.format(1, 2))
    back = Fingerprint.from_json(one.to_json())
    assert similarity(one, back) == 1.0 and back.to_json() == one.to_json()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Pump_Manual_v2", "pump manual"),
        ("leave-2024 (final)", "leave"),
        ("minutes-2026-04", "minutes 2026 04"),
        ("休假管理办法2026", "休假管理办法"),
    ],
)
def test_family_keys(name: str, key: str) -> None:
    assert family_key(name) == key
