"""What is sent to the indexes for a question: text for the embedders, weighed tokens for BM25, strings to be found exactly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.index.language import detect
from rag.index.tokenization import fold, tokenize
from rag.retrieval.stopwords import stop_tokens
from rag.retrieval.synonyms import expansion

IDENTIFIER_WEIGHT = 1.5  # of "px-77" beside the 1.0 of a word: a part number is asked for on purpose

# Letters and digits in one word, with or without joints: PX-77, E1042, ISO-9001, 3.2b. Plain numbers and years are words.
_IDENTIFIER = re.compile(r"(?<![a-z0-9])(?=[a-z0-9._/-]*[a-z])(?=[a-z0-9._/-]*\d)[a-z0-9]+(?:[._/-][a-z0-9]+)*")
_QUOTED = re.compile(r"[\"“「『]([^\"”」』]{2,80})[\"”」』]")


@dataclass(frozen=True)
class Query:
    """One thing to search for."""

    text: str
    language: str  # "zh", "en", ...
    terms: Mapping[str, float]  # token -> weight
    exact: tuple[str, ...]  # identifiers and quoted phrases, folded, to be found as they stand


def understand(text: str, synonyms: Sequence[Sequence[str]] = (), *, fading: str = "") -> Query:
    """The query of a self-contained question. `fading` is earlier text of the conversation, whose words count half."""
    stop = stop_tokens()
    folded = fold(text)
    exact = tuple(dict.fromkeys(_IDENTIFIER.findall(folded) + [q.strip() for q in _QUOTED.findall(folded)]))
    terms: dict[str, float] = {}
    for token in tokenize(text):
        if token not in stop:
            terms[token] = terms.get(token, 0.0) + (IDENTIFIER_WEIGHT if _IDENTIFIER.fullmatch(token) else 1.0)
    for token in tokenize(fading):
        if token not in stop:
            terms.setdefault(token, 0.5)
    for token, weight in expansion(f"{fading} {text}", synonyms).items():
        terms.setdefault(token, weight)
    if not terms:
        terms = dict.fromkeys(tokenize(text), 1.0)  # "Who is who?": stop words are all there is
    whole = f"{fading} {text}".strip()
    return Query(whole, detect(whole), terms, exact)
