"""An answer taken from a sentence about something else, where another one speaks of what is asked (pure but for `relevance`).

Between sources in two languages a small model tends to answer from one in the question's own, whatever it is about. The embedders compare
across languages: where they find the quoted sentence far from the question and another one near, that one is the better answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag.generation.context import ranked
from rag.generation.quoting import Quote, has_the_kind_asked_for, wanted_kind
from rag.generation.relevance import Relevance
from rag.types import Hit

FAR, NEAR = 0.15, 0.85  # nearness of a quote that is about something else, and of one that speaks of what is asked
LOOKED_AT = 10  # sentences, best first


def nearer(
    question: str, hits: Sequence[Hit], near: float, relevance: Relevance, translated: Mapping[str, str]
) -> Quote | None:
    """The best sentence that is near the question, when what the answer quotes (`near`: its nearness, 0..1) is far from it; None when that is
    not far, or nothing else is near."""
    if near > FAR:
        return None
    for h, (a, b), score in ranked(question, hits, relevance, translated)[:LOOKED_AT]:
        text, asked = hits[h].chunk.text[a:b], translated.get(hits[h].chunk.language, question)
        if text.endswith(("?", "？")) or (wanted_kind(question) and not has_the_kind_asked_for(text, question)):
            continue
        if relevance.nearness(asked, hits[h], text) >= NEAR:
            return Quote(h + 1, (a, b), text, score, True)
    return None
