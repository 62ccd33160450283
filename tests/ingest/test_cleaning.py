"""What cleaning changes, and what it must not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.cleaning import clean, clean_code, join_wrapped, one_line


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("zero\u200bwidth soft\u00adhyphen \ufeffmark", "zerowidth softhyphen mark"),
        ("bell\x07 \x00nul", "bell nul"),
        ("wide\u3000space and\u00a0hard", "wide\u3000space and hard"),
        ("⾦⼈⺠", "金人民"),
        ("ＰＸ－７７ stays", "ＰＸ－７７ stays"),
        ("e\u0301", "é"),
        ("\ud800 half", "\ufffd half"),
        ("line  \n  next", "line\nnext"),
    ],
)
def test_clean(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@given(st.text())
def test_cleaning_twice_changes_nothing_and_always_stores_as_utf8(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    once.encode("utf-8")


def test_code_keeps_its_indentation() -> None:
    assert clean_code("def f():\n\treturn  1  \n") == "def f():\n    return  1"


def test_one_line_has_no_breaks() -> None:
    assert one_line(" a\nb \t c ") == "a b c"


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        (["the quick", "brown fox"], "the quick brown fox"),
        (["员工每年享有", "带薪休假"], "员工每年享有带薪休假"),
        (["mainte-", "nance of pumps"], "maintenance of pumps"),
        (["Anglo-", "American"], "Anglo- American"),
    ],
)
def test_wrapped_lines_are_joined_as_their_language_is_written(lines: list[str], joined: str) -> None:
    assert join_wrapped(lines) == joined
