"""Several things asked for at once, answered one after the other: small models answer the first one and stop.

Every part is asked after the same sources, whose state the model keeps, so each costs little more than its own words. The parts before
stand in the conversation: "and what does it cost?" asks for what they name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Literal

from rag.generation.citations import without_citations
from rag.generation.prompting import PromptSource, build, prompt_language
from rag.types import GenerationEnd, Message, TextDelta

Events = Iterator[TextDelta | GenerationEnd]


def part_by_part(
    parts: Sequence[str],
    sources: Sequence[PromptSource],
    history: Sequence[Message],
    longest: int,
    generate: Callable[[Sequence[Message], int], Events],
) -> Events:
    """The answers of all parts, a line each, as one stream of at most `longest` tokens with one end, which has the counts of the first
    prompt. `generate` streams the answer to messages in at most so many tokens; what it raises passes through."""
    prompt = cached = written = 0
    finish: Literal["stop", "length", "cancelled"] = "stop"
    talk = list(history)
    for n, part in enumerate(map(_asked, parts)):
        said = ""
        with closing(generate(build(part, sources, talk), longest - written)) as events:  # type: ignore[type-var]
            for event in events:
                if isinstance(event, GenerationEnd):
                    finish = event.finish_reason
                    if not n:
                        prompt, cached = event.prompt_tokens, event.cached_tokens
                    written += event.answer_tokens
                elif event.text:
                    yield TextDelta(f"\n{event.text.lstrip()}" if n and not said else event.text)
                    said += event.text
        if finish != "stop" or written >= longest:
            break
        talk += [Message("user", part), Message("assistant", without_citations(said).strip())]
    yield GenerationEnd(finish, prompt, cached, written)


def _asked(part: str) -> str:
    """The part as a question of its own."""
    return part if part.endswith(("?", "？")) else part + ("？" if prompt_language(part) == "zh" else "?")
