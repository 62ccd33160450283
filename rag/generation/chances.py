"""How likely a generator's answer begins with a word: from the likeliest first tokens that a backend tells on request."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from threading import Event
from typing import Any

from rag.types import GenerationEnd, Message, TextDelta

LIKELIEST = 20  # tokens whose chances are asked for: the most that OpenAI's interface gives
First = list[tuple[str, float]]  # the likeliest first tokens with the logarithms of their chances


def chance_of(word: str, first: Sequence[tuple[str, float]]) -> float | None:
    """The chance that an answer begins with `word`; None when nothing was told."""
    if not first:
        return None
    said = ((token.strip(), p) for token, p in first)
    return min(1.0, sum((math.exp(p) for token, p in said if token and word.startswith(token)), 0.0))


def first_tokens(choice: Mapping[str, Any]) -> First:
    """The likeliest first tokens in one choice of an OpenAI-compatible answer; none where the server leaves them out."""
    places = (choice.get("logprobs") or {}).get("content") or [{}]
    return [(str(t["token"]), float(t["logprob"])) for t in places[0].get("top_logprobs") or ()]


class AsksServer:
    """The part of a server's generator that asks it for chances; one that leaves them out is not asked again."""

    _tells_chances = True

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, cancel: Event | None = None, first: First | None = None
    ) -> Generator[TextDelta | GenerationEnd]:
        raise NotImplementedError

    def chance(self, messages: Sequence[Message], word: str, cancel: Event | None = None) -> float | None:
        """See rag.generation.capabilities.Weighs."""
        if not self._tells_chances:
            return None
        first: First = []
        with closing(self.stream(messages, max_tokens=1, cancel=cancel, first=first)) as events:
            said = 0
            for event in events:
                said += isinstance(event, TextDelta)
                if said > 1:
                    break  # this server does not keep to one token
        self._tells_chances = bool(first) or said == 0
        return chance_of(word, first)
