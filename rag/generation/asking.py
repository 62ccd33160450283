"""What the model is asked: a prompt that fits its context (pure but for counting tokens)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rag.errors import PromptTooLong
from rag.generation.context import Context
from rag.generation.prompting import build, fit_history
from rag.protocols import Generator
from rag.types import AskRequest, Hit, Message

HISTORY_TOKENS = 300
_TRIES = 8


def fitted(
    request: AskRequest,
    read: Context,
    answer_tokens: int,
    generator: Generator,
    cut: Callable[[Sequence[Hit], int], Context],
) -> tuple[list[Message], int]:
    """The messages of a question, with less history and then less of the sources until they fit, and how many tokens the answer may have.
    `cut` shows hits in so many tokens.

    Raises PromptTooLong when not even a little of them fits.
    """
    longest = min(request.max_tokens or answer_tokens, generator.context_length // 2)
    history = fit_history(request.search.history, HISTORY_TOKENS)
    shown, sources = read, read.sources
    for _ in range(_TRIES):
        messages = build(request.search.question, sources, history)
        if generator.count_tokens(messages) + longest <= generator.context_length:
            return messages, longest
        if history:
            history = ()
        else:
            shown = cut(shown.hits, max(shown.tokens // 2, 60))
            # Citations are by the numbers in which the caller was offered the hits.
            numbers = [read.hits.index(h) + 1 for h in shown.hits]
            sources = tuple(replace(s, n=n) for s, n in zip(shown.sources, numbers, strict=True))
    raise PromptTooLong(
        f"{generator.name}: question and sources do not fit {generator.context_length} tokens; ask a shorter question"
    )
