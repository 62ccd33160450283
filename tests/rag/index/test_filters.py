"""Filters: what matches, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from rag.errors import UsageError
from rag.index.filters import parse


@dataclass(frozen=True)
class Facts:
    document: str = "d1"
    title: str = "Annual leave"
    path: str = "policies/leave/annual 2026.md"
    root: str = "/srv/docs"
    language: str = "en"
    type: str = "pdf"
    date: str | None = "2025-03-14"
    author: str | None = None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "path=policies/*",
        "path=policies",
        "path=Policies/leave",
        "path=*.md",
        'path="policies/leave/annual 2026.md"',
        "date>=2025-03-14",
        "date<=2025",
        "date=2025-03",
        "date>2024 date<2026",
        "lang=en type=pdf",
        "type=docx|pdf",
        "lang=zh|type=pdf",
        "lang!=zh",
        "author!=Ada",
        "title=annual*",
    ],
)
def test_matches(text: str) -> None:
    assert parse(text).matches(Facts())


@pytest.mark.parametrize(
    "text",
    [
        "path=policy",
        "path=policies/l",
        "date<2025",
        "date>2025-03-14",
        "lang=zh",
        "type=docx|html",
        "lang=en type=html",
        "author=Ada",
    ],
)
def test_does_not_match(text: str) -> None:
    assert not parse(text).matches(Facts())


def test_document_without_date_matches_no_date() -> None:
    assert not parse("date>=1900").matches(Facts(date=None))
    assert not parse("date=2025").matches(Facts(date=None))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("policies", "no condition"),
        ("colour=red", "unknown field"),
        ("date>=yesterday", "no date"),
        ("type>=pdf", "dates only"),
        ("type=", "no value"),
        ('path="a', "not closed"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse(text)
