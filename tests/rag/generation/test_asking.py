"""A prompt that fits the model's context."""

from __future__ import annotations

import pytest

from rag.errors import PromptTooLong
from rag.generation.asking import fitted
from rag.generation.context import growing, select
from rag.types import AskRequest, SearchRequest

from .sample import LEAVE, TRAVEL, Scripted, hit

DAYS = "How many days of annual leave do full-time employees receive?"
HITS = (hit(1, TRAVEL * 20, "Travel"), hit(2, LEAVE * 20, "Leave"))
(WHOLE,) = growing(HITS, 5000, 5000)


def test_a_source_that_is_left_over_keeps_the_number_it_was_offered_under() -> None:
    model = Scripted("")
    model.context_length = 900
    messages, longest = fitted(
        AskRequest(SearchRequest(DAYS)), WHOLE, 300, model, lambda hits, tokens: select(DAYS, hits, tokens)
    )
    assert longest == 300 and model.count_tokens(messages) + longest <= 900
    shown = messages[-1].content
    assert "[2] Leave\n" in shown and "[1]" not in shown and "kroner" not in shown


def test_what_never_fits_is_an_error_that_names_the_model() -> None:
    model = Scripted("")
    model.context_length = 200
    with pytest.raises(PromptTooLong, match="scripted"):
        fitted(AskRequest(SearchRequest(DAYS)), WHOLE, 300, model, lambda hits, n: select(DAYS, hits, n))
