"""A list that does not repeat itself: newest versions, no copies, no document that fills it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.index.tokenization import fold

PER_DOCUMENT = 3  # chunks of one document among the hits, as long as others are left
NEAR = 0.95  # cosine of two vectors from which their texts are compared
SAME = 0.92  # share of common shingles from which two texts are copies
_SHINGLE = 4
_VERSION = re.compile(r"(?<!\d)(?:19|20)\d{2}(?!\d)|\bv(?:ersion)?\.?\s*\d+(?:\.\d+)*")


@dataclass(frozen=True, slots=True)
class Candidate:
    """What diversity looks at. `position` is the candidate's place in the caller's list."""

    position: int
    document: str
    text: str
    date: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A candidate left out and why: "superseded", "duplicate", "document"; `by` is the document that stands for it."""

    position: int
    reason: str
    by: str


def asks_for_old(question: str, old: str, new: str) -> bool:
    """Whether the question names a year or version that tells the old document (its path, title, date) from the newer one."""
    named = set(_VERSION.findall(fold(question)))
    return any(v in fold(old) and v not in fold(new) for v in named)


def newest(document: str, superseded_by: Callable[[str], str | None]) -> str:
    """The last visible document of the chain of versions; the document itself when nothing visible stands for it."""
    seen = {document}
    while (by := superseded_by(document)) is not None and by not in seen:
        seen.add(by)
        document = by
    return document


def copies(candidates: Sequence[Candidate], near: NDArray[np.bool_]) -> list[Dropped]:
    """Of candidates with almost the same text the newest stays, and of equal dates the one ranked first.

    `near` (n, n) says which pairs are worth a look: copies have almost the same vector, and vectors are compared a thousand times
    faster than texts.
    """
    prints: dict[int, frozenset[str]] = {}

    def shingles(candidate: Candidate) -> frozenset[str]:
        if candidate.position not in prints:
            prints[candidate.position] = _shingles(candidate.text)
        return prints[candidate.position]

    kept: list[int] = []
    dropped: list[Dropped] = []
    for i, candidate in enumerate(candidates):
        twin = next(
            (at for at, j in enumerate(kept) if near[i, j] and _alike(shingles(candidate), shingles(candidates[j]))),
            None,
        )
        if twin is None:
            kept.append(i)
            continue
        first = candidates[kept[twin]]
        if candidate.date > first.date:
            kept[twin] = i
            dropped.append(Dropped(first.position, "duplicate", candidate.document))
        else:
            dropped.append(Dropped(candidate.position, "duplicate", first.document))
    return dropped


def crowded(candidates: Sequence[Candidate], k: int) -> list[Dropped]:
    """Candidates beyond `PER_DOCUMENT` of their document, as long as `k` others remain; best first stays."""
    counts: dict[str, int] = {}
    over = []
    for candidate in candidates:
        counts[candidate.document] = counts.get(candidate.document, 0) + 1
        if counts[candidate.document] > PER_DOCUMENT:
            over.append(candidate)
    spare = max(0, len(candidates) - len(over))
    return [Dropped(c.position, "document", c.document) for c in over[max(0, k - spare) :]]


def _shingles(text: str) -> frozenset[str]:
    letters = re.sub(r"\W+", "", fold(text))
    return frozenset(letters[i : i + _SHINGLE] for i in range(max(1, len(letters) - _SHINGLE + 1)))


def _alike(a: frozenset[str], b: frozenset[str]) -> bool:
    # "every 900 hours" and "every 1,100 hours" are not copies, however much else is equal.
    return len(a & b) >= SAME * len(a | b) and _numbers(a) == _numbers(b)


def _numbers(shingles: frozenset[str]) -> frozenset[str]:
    return frozenset(d for s in shingles for d in re.findall(r"\d+", s))
