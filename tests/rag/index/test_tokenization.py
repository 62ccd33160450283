"""Tokens: what a question writes differently must meet what the document wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.index.tokenization import MAX_BYTES, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Valves leaking", ["valv", "leak"]),
        ("PX-77", ["px-77", "px", "77"]),
        ("px77", ["px77", "px", "77"]),
        ("914,000", ["914,000", "914000"]),
        ("C++ or C#", ["c++", "c", "or", "c#", "c"]),
        ("the company's", ["the", "compani"]),
        ("don't", ["dont", "don"]),
        ("foo_bar", ["foo_bar", "foo", "bar"]),
        ("员工", ["员工"]),
        ("的", ["的"]),
        ("カナブン", ["カナ", "ナブ", "ブン"]),
        (" \n", []),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ＰＸ－７７", "PX-77"),  # full width
        ("員工年假規定", "员工年假规定"),  # traditional
        ("ﬁle", "file"),  # ligature
        ("LEAKS", "leaking"),
    ],
)
def test_same_tokens(one: str, other: str) -> None:
    assert tokenize(one) == tokenize(other)


def test_chinese_word_is_found_inside_a_sentence_that_is_cut_differently() -> None:
    # jieba cuts "年假" in two here; the bigram is there all the same.
    assert "年假" in tokenize("员工年假政策规定每年可以休十五天")


def test_longer_words_of_the_dictionary_are_tokens_beside_the_bigrams() -> None:
    assert {"所得税", "所得税法", "企业"} <= set(tokenize("中华人民共和国企业所得税法"))


@given(st.text())
def test_any_text_gives_short_tokens_without_spaces(text: str) -> None:
    for token in tokenize(text):
        assert 0 < len(token.encode()) <= MAX_BYTES
        assert not any(c.isspace() for c in token)


def test_long_tokens_that_differ_at_the_end_stay_different() -> None:
    assert tokenize("x" * 100) != tokenize("x" * 99 + "y")
