"""The model's text as it comes: made safe before anybody sees it, and held back while it could still be a refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic

from rag.generation.json_answers import safe_json
from rag.generation.output_safety import OutputFilter
from rag.generation.prompting import REFUSALS, is_refusal, prompt_language
from rag.types import AskRequest, GenerationEnd, Hit, TextDelta


@dataclass
class Draft:
    """What the model said so far."""

    started: float  # of the question, on the monotonic clock
    raw: str = ""
    text: str = ""  # made safe
    first_token: float | None = None  # seconds from `started`
    end: GenerationEnd = field(default_factory=lambda: GenerationEnd("stop", 0, 0, 0))


def drafted(
    events: Iterator[TextDelta | GenerationEnd], draft: Draft, request: AskRequest, hits: Sequence[Hit]
) -> Iterator[TextDelta]:
    """Streams the model's text, made safe, and gathers it in `draft`. JSON comes as one piece, a refusal not at all."""
    safe = OutputFilter(grounded_in(hits))
    refusal = REFUSALS[prompt_language(request.search.question)].lower()
    held = ""
    holding = True
    for event in events:
        if isinstance(event, GenerationEnd):
            draft.end = event
            break
        draft.raw += event.text
        if draft.first_token is None:
            draft.first_token = monotonic() - draft.started
        if request.schema is not None:
            continue
        held += safe.feed(event.text)
        holding = holding and refusal.startswith(held.strip().lower()[: len(refusal)])
        if held and not holding:
            yield TextDelta(held)
            draft.text += held
            held = ""
    if request.schema is not None:
        draft.text = safe_json(draft.raw, grounded_in(hits))
        if draft.text:
            yield TextDelta(draft.text)
        return
    held += safe.finish()
    draft.text += held
    if held.strip() and not is_refusal(draft.text):
        yield TextDelta(held)


def grounded_in(hits: Sequence[Hit]) -> Callable[[str], bool]:
    """Whether a word stands in one of the hits."""
    return lambda word: any(word in h.chunk.text for h in hits)
