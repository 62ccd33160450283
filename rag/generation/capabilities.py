"""What a generator may be able to do beside generating, and what an answerer asks of a collection. All of it is optional: an
answerer looks, and does without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event
from typing import Any, Protocol, runtime_checkable

from rag.generation.prompt_memory import PromptMemory
from rag.types import Message


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

    def read_ahead(self, steps: Sequence[tuple[Sequence[Message], Callable[[], None]]]) -> None:
        """Reads the messages of one step after another when it is idle, each beginning as those before it, and tells when a step is read."""
        ...


@runtime_checkable
class Weighs(Protocol):
    """A generator that tells how likely its next words are."""

    def chance(self, messages: Sequence[Message], word: str, cancel: Event | None = None) -> float | None:
        """The chance, 0..1, that the answer begins with `word`; None when it was cancelled, or the server does not tell."""
        ...


@runtime_checkable
class WeighsBeside(Weighs, Protocol):
    """A generator that keeps the states of several prompts: asking it something else in between costs the next question nothing, and
    what each such request begins with is read once."""

    keeps_prompts: bool
