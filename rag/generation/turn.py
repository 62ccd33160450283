"""One question on its way to an answer: what was searched, found, read and asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.generation.context import NOTHING, Context
from rag.types import AskRequest, Hit, Message, SearchResult, Timings


@dataclass(frozen=True, slots=True)
class Turn:
    """What is known of a question so far."""

    request: AskRequest
    asked: str  # the question as it was searched for, follow-ups completed
    several: bool  # things asked for
    translated: Mapping[str, str]  # language -> the same in that language, where it was searched in it
    result: SearchResult
    timings: Timings
    started: float
    read: Context = NOTHING
    messages: Sequence[Message] = ()  # that the model was asked

    @property
    def hits(self) -> tuple[Hit, ...]:
        return self.read.hits

    def asked_of(self, hit: Hit) -> str:
        """The question in the language of the hit, as far as there is one."""
        return self.translated.get(hit.chunk.language, self.asked)
