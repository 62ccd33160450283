from __future__ import annotations

import pytest

from rag.generation.sentences import clauses, sentence_spans


def split(text: str) -> list[str]:
    return [text[a:b] for a, b in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One two. Three four! Five?", ["One two.", "Three four!", "Five?"]),
        ("第一条。第二条！第三条？", ["第一条。", "第二条！", "第三条？"]),
        ("It costs 4.2 million, e.g. in Oslo. Yes.", ["It costs 4.2 million, e.g. in Oslo.", "Yes."]),
        ("Dr. Ng of Acme Inc. signed. Then left.", ["Dr. Ng of Acme Inc. signed.", "Then left."]),
        ("23 days. [1] And more [2].", ["23 days. [1]", "And more [2]."]),
        ("每晚480元。[1][2]超过部分自理。", ["每晚480元。[1][2]", "超过部分自理。"]),
        ("- one\n- two", ["- one", "- two"]),
        ("他说：“不行。”然后走了。", ["他说：“不行。”", "然后走了。"]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, sentences: list[str]) -> None:
    assert split(text) == sentences


def test_clauses_keep_numbers_whole() -> None:
    assert clauses("Oslo is 2,150 kroner, Porto 140 euro") == ["Oslo is 2,150 kroner", "Porto 140 euro"]
