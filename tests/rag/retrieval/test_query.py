"""What of a question is searched for."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import UsageError
from rag.retrieval import synonyms
from rag.retrieval.query import IDENTIFIER_WEIGHT, understand


def test_question_words_are_left_out() -> None:
    assert set(understand("How do I replace the seal?").terms) == {"replac", "seal"}


def test_a_question_of_stop_words_alone_keeps_them() -> None:
    assert understand("Who is who?").terms


def test_an_identifier_weighs_more_and_is_to_be_found_as_it_stands() -> None:
    query = understand("ＰＸ－７７ seal")
    assert query.terms["px-77"] == IDENTIFIER_WEIGHT
    assert query.exact == ("px-77",)


def test_a_quoted_phrase_is_to_be_found_as_it_stands() -> None:
    assert understand("where is “Total Revenue” stated").exact == ("total revenue",)


def test_years_are_no_identifiers() -> None:
    assert understand("revenue in 2024").exact == ()


def test_earlier_words_count_half() -> None:
    query = understand("And for contractors?", fading="How many days of leave?")
    assert query.terms["contractor"] == 1.0
    assert query.terms["leav"] == 0.5
    assert query.text == "How many days of leave? And for contractors?"


def test_synonyms_are_added_in_both_languages(tmp_path: Path) -> None:
    file = tmp_path / "s.txt"
    file.write_text("# staff words\nannual leave, vacation，年假\n", encoding="utf-8")
    groups = synonyms.load(file)
    added = understand("vacation in May", groups).terms
    assert added["annual"] == added["年假"] == synonyms.WEIGHT
    assert understand("五月的年假", groups).terms["vacat"] == synonyms.WEIGHT


def test_a_synonym_does_not_stand_inside_another_word() -> None:
    assert synonyms.expansion("start the pump", (("art", "painting"),)) == {}


def test_a_synonym_line_of_one_word_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "s.txt"
    file.write_text("a, b\nalone\n", encoding="utf-8")
    with pytest.raises(UsageError, match="line 2: one word alone"):
        synonyms.load(file)


def test_a_missing_synonym_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.txt: cannot be read"):
        synonyms.load(tmp_path / "gone.txt")
