"""What the model is asked: a prompt that fits its context, and its answer as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Event

from rag.errors import PromptTooLong
from rag.generation.context import Context
from rag.generation.part_by_part import part_by_part
from rag.generation.prompting import PromptSource, build, fit_history
from rag.protocols import Generator
from rag.retrieval.rewriting import parts
from rag.types import AskRequest, GenerationEnd, Hit, Message, TextDelta

HISTORY_TOKENS = 300
_TRIES = 8


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is asked, and what that is made of."""

    messages: Sequence[Message]
    sources: Sequence[PromptSource]
    history: Sequence[Message]
    longest: int  # tokens of the answer


def fitted(
    request: AskRequest,
    read: Context,
    answer_tokens: int,
    generator: Generator,
    cut: Callable[[Sequence[Hit], int], Context],
) -> Prompt:
    """The prompt of a question, with less history and then less of the sources until it fits; `cut` shows hits in so many tokens.

    Raises PromptTooLong when not even a little of them fits.
    """
    longest = min(request.max_tokens or answer_tokens, generator.context_length // 2)
    history = fit_history(request.search.history, HISTORY_TOKENS)
    for _ in range(_TRIES):
        messages = build(request.search.question, read.sources, history)
        if generator.count_tokens(messages) + longest <= generator.context_length:
            return Prompt(messages, read.sources, history, longest)
        if history:
            history = ()
        else:
            read = cut(read.hits, max(read.tokens // 2, 60))
    raise PromptTooLong(
        f"{generator.name}: question and sources do not fit {generator.context_length} tokens; ask a shorter question"
    )


def generated(
    request: AskRequest, prompt: Prompt, generator: Generator, cancel: Event | None
) -> Iterator[TextDelta | GenerationEnd]:
    """The model's answer as it comes; that to a question of several parts one after the other."""

    def ask(messages: Sequence[Message], longest: int) -> Iterator[TextDelta | GenerationEnd]:
        return generator.stream(
            messages,
            max_tokens=longest,
            temperature=request.temperature,
            seed=request.seed,
            schema=request.schema,
            cancel=cancel,
        )

    split = parts(request.search.question)
    if len(split) == 1 or request.schema is not None:
        return ask(prompt.messages, prompt.longest)
    return part_by_part(split, prompt.sources, prompt.history, prompt.longest, ask)
