"""Dates as people, programs and file names write them."""

from __future__ import annotations

import pytest

from ingest.documents import iso_date, name_date


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2026-03-14", "2026-03-14"),
        ("2026/3/4", "2026-03-04"),
        ("2026年3月14日", "2026-03-14"),
        ("D:20230117110122-08'00'", "2023-01-17"),
        ("2024-05-01T10:00:00Z", "2024-05-01"),
        ("4 May 2026", "2026-05-04"),
        ("May 4, 2026", "2026-05-04"),
        ("2026", "2026-01-01"),
        ("2026-13-45", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_iso_date(text: str | None, date: str | None) -> None:
    assert iso_date(text) == date


@pytest.mark.parametrize(
    ("path", "date"),
    [
        ("a/2026-03-14 minutes.md", "2026-03-14"),
        ("minutes_20260314.pdf", "2026-03-14"),
        ("2025-11-outage.md", "2025-11-01"),
        ("leave-2024.md", "2024-01-01"),
        ("劳动法(2018-12-29).md", "2018-12-29"),
        ("2024/plain.md", None),
        ("part-12345678.md", None),
    ],
)
def test_name_date(path: str, date: str | None) -> None:
    assert name_date(path) == date
