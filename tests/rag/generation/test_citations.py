from __future__ import annotations

from rag.generation.citations import cited_numbers, resolve, with_citations, without_citations

from .sample import HITS


def test_numbers_are_read_in_every_form_models_write_them() -> None:
    assert cited_numbers("a [2], b [1, 3] c【2】 d［4］") == (2, 1, 3, 4)
    assert without_citations("23 days [1][2].") == "23 days."


def test_marks_go_before_the_final_stop() -> None:
    assert with_citations("23 days [9].", (1, 2)) == "23 days [1][2]."
    assert with_citations("每晚480元。[3]", (1,)) == "每晚480元[1]。"
    assert with_citations("no stop", ()) == "no stop"


def test_a_citation_points_into_the_document() -> None:
    (citation,) = resolve((1,), HITS, {1: (66, 98)})
    assert citation.quote == HITS[0].chunk.text[66:98]
    assert citation.span == (16 + 66, 16 + 98) and citation.page == 3


def test_numbers_that_were_not_offered_give_nothing() -> None:
    assert resolve((0, 4, 99), HITS, {}) == ()
