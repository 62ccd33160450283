"""What a generator may be able to do beside generating, and what an answerer asks of a collection. All of it is optional: an
answerer looks, and does without."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Any, Protocol, runtime_checkable

from rag.generation.prompt_memory import PromptMemory
from rag.types import Message

LIKELIEST = 20  # tokens whose chances are asked for: the most that OpenAI's interface gives


class HasSettings(Protocol):
    """What an answerer asks of its collection."""

    def get_setting(self, key: str) -> Any: ...


@runtime_checkable
class Warms(Protocol):
    """A generator that can load itself while the documents are searched."""

    def warm(self, messages: Sequence[Message] = ()) -> None: ...


@runtime_checkable
class KnowsItsSpeed(Protocol):
    """A generator that knows how many tokens of sources it reads in a few seconds on this machine."""

    def source_tokens(self) -> int: ...


@runtime_checkable
class Remembers(Protocol):
    """A generator whose model can reuse what it has read."""

    memory: PromptMemory


@runtime_checkable
class ReadsAhead(Remembers, Protocol):
    """A generator that can read what will probably be asked about next, while it is idle."""

    def read_ahead(self, messages: Sequence[Message], done: Callable[[], None]) -> None: ...


@runtime_checkable
class Weighs(Protocol):
    """A generator that tells how likely its next words are."""

    def chance(self, messages: Sequence[Message], word: str, cancel: Event | None = None) -> float | None:
        """The chance, 0..1, that the answer begins with `word`; None when it was cancelled, or the server does not tell."""
        ...


def chance_of(word: str, first: Sequence[tuple[str, float]]) -> float | None:
    """The chance that an answer begins with `word`, of the likeliest first tokens and the logarithms of their chances."""
    if not first:
        return None
    said = ((token.strip(), p) for token, p in first)
    return min(1.0, sum((math.exp(p) for token, p in said if token and word.startswith(token)), 0.0))


def first_tokens(choice: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The likeliest first tokens in one choice of an OpenAI-compatible answer; none where the server leaves them out."""
    places = (choice.get("logprobs") or {}).get("content") or [{}]
    return [(str(t["token"]), float(t["logprob"])) for t in places[0].get("top_logprobs") or ()]
