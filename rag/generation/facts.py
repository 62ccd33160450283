"""The hard facts of a sentence - quantities, dates, identifiers, names, negated words - taken together (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from rag.generation.quantities import Date, Quantity, quantities, take_dates, take_identifiers
from rag.generation.wording import content_terms, names, polarity, take_limits
from rag.index.tokenization import fold


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a text must be found in its source."""

    quantities: tuple[Quantity, ...]
    dates: tuple[Date, ...]
    identifiers: frozenset[str]
    names: frozenset[str]  # folded
    terms: frozenset[str]  # content words, stemmed or Chinese words
    negated: frozenset[str]  # content words right after a negation
    plain: frozenset[str]  # content words not right after one
    limits: frozenset[str]  # "≤", "≥"


@lru_cache(maxsize=4096)
def facts(text: str) -> Facts:
    """The facts of `text`. Citations and list numbers are left out."""
    raw = re.sub(r"\[\d{1,3}(?:\s*[,，、]\s*\d{1,3})*\]", " ", text)
    raw = re.sub(r"(?m)^\s*(?:\d{1,2}[.)、]|[-*•])\s+", "", raw)
    low = fold(raw)
    rest, dates = take_dates(low)
    rest, identifiers = take_identifiers(rest)
    limited, limits = take_limits(low)
    negated, plain = polarity(limited)
    return Facts(
        quantities=tuple(quantities(rest)),
        dates=tuple(dates),
        identifiers=frozenset(identifiers),
        names=frozenset(names(raw)),
        terms=frozenset(content_terms(low)),
        negated=frozenset(negated),
        plain=frozenset(plain),
        limits=limits,
    )
