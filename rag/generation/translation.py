"""A question whose answer is likely to stand in another language: put into that language by the model, searched for there, and held
against those documents in their own words.

Words cannot be compared across languages and vectors only roughly. One short answer of the model (20 tokens, about 2 s) makes the same
words of both: of 34 golden questions across languages, 31 instead of 25 have their answer among the first six hits (docs/bench/answers.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from threading import Event

from rag.generation.prompting import asks_for_translation
from rag.index.language import detect
from rag.protocols import Generator, Retriever
from rag.retrieval.other_language import LIKELY, dealt
from rag.types import Hit, SearchRequest, SearchResult, TextDelta

LONGEST = 90  # tokens of a translated question


def searched(
    request: SearchRequest, retriever: Retriever, generator: Generator | None, cancel: Event | None = None
) -> tuple[SearchResult, Mapping[str, str]]:
    """The hits of a search, and the question by the other languages that it was searched in (mostly none; none without a generator).

    Raises what the retriever and the generator raise.
    """
    result = retriever.search(request)
    question = result.query or request.question
    language, chance = likely_elsewhere(question, result.hits)
    text = translated(question, language, generator, cancel) if language and generator is not None else ""
    if not text:
        return result, {}
    there = replace(
        request,
        question=in_both(text, question),
        history=(),
        as_of=result.generation,
        filter=f"{request.filter} lang={language}".strip(),
    )
    own = [h for h in result.hits if h.chunk.language != language]
    hits = dealt(own, retriever.search(there).hits, chance)[: request.k]
    ranked = tuple(replace(h, rank=rank) for rank, h in enumerate(hits, 1))
    return replace(result, hits=ranked), {language: text}


def in_both(translation: str, question: str) -> str:
    """What documents in another language are held against: small models lose names in translation, the question has them."""
    return f"{translation} {question}".strip()


def likely_elsewhere(question: str, hits: Sequence[Hit]) -> tuple[str, float]:
    """The language other than the question's that the answer is likely to stand in and the chance of it, 0..1; "" where it is not."""
    stages = [(h, h.stages["other language"].score) for h in hits if "other language" in h.stages]
    chance = max((score for _, score in stages), default=0.0)
    languages = Counter(h.chunk.language for h, _ in stages if h.chunk.language != detect(question))
    if chance < LIKELY or not languages:
        return "", chance
    return languages.most_common(1)[0][0], chance


def translated(question: str, language: str, generator: Generator, cancel: Event | None = None) -> str:
    """The question in `language`, one line; "" where the model gives none, or none can be asked for."""
    messages = asks_for_translation(question, language)
    if messages is None:
        return ""
    said = ""
    with closing(generator.stream(messages, max_tokens=LONGEST, cancel=cancel)) as events:  # type: ignore[type-var]
        for event in events:
            if isinstance(event, TextDelta):
                said += event.text
    line = said.strip().partition("\n")[0].strip()
    return line if detect(line) == language and any(c.isalpha() for c in line) else ""
