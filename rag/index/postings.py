"""Which rows hold a term, how often, and how long each row is: arrays only, so that they can be mapped from a file.

A `Postings` covers the rows of one segment. Terms are sorted UTF-8 in a fixed-width array, found by binary search.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class Postings:
    """The inverted index of `len(lengths)` rows."""

    terms: NDArray[np.bytes_]  # (t,) sorted, unique
    starts: NDArray[np.int64]  # (t + 1,) into rows and counts
    rows: NDArray[np.int32]  # (p,) ascending within a term
    counts: NDArray[np.unsignedinteger]  # (p,) uint16 or uint32: times the term stands in the row
    lengths: NDArray[np.int32]  # (n,) tokens of each row

    def find(self, terms: Sequence[str]) -> NDArray[np.int64]:
        """(len(terms),) position of each term, -1 for one that no row holds."""
        found = np.full(len(terms), -1, np.int64)
        width = self.terms.dtype.itemsize
        # A key longer than the array's width would make numpy copy the whole array to the wider type.
        keys = [(i, key) for i, term in enumerate(terms) if 0 < len(key := term.encode()) <= width]
        if keys and len(self.terms):
            wanted = np.array([key for _, key in keys], dtype=self.terms.dtype)
            at = np.minimum(np.searchsorted(self.terms, wanted), len(self.terms) - 1)
            hit = self.terms[at] == wanted
            found[np.array([i for i, _ in keys])[hit]] = at[hit]
        return found

    def slice(self, term: int) -> tuple[NDArray[np.int32], NDArray[np.unsignedinteger]]:
        """Rows and counts of the term at this position."""
        start, stop = int(self.starts[term]), int(self.starts[term + 1])
        return self.rows[start:stop], self.counts[start:stop]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What is written to a file; `Postings(**arrays)` reads it back."""
        return {
            "terms": self.terms,
            "starts": self.starts,
            "rows": self.rows,
            "counts": self.counts,
            "lengths": self.lengths,
        }


def build(rows: Sequence[Sequence[str]]) -> Postings:
    """The postings of rows of tokens."""
    vocabulary: dict[str, int] = {}
    term_parts: list[NDArray[np.int64]] = []
    count_parts: list[NDArray[np.int64]] = []
    for tokens in rows:
        counted = Counter(tokens)
        term_parts.append(
            np.fromiter((vocabulary.setdefault(t, len(vocabulary)) for t in counted), np.int64, len(counted))
        )
        count_parts.append(np.fromiter(counted.values(), np.int64, len(counted)))
    lengths = np.fromiter((len(tokens) for tokens in rows), np.int32, len(rows))
    if not vocabulary:
        return _empty(lengths)
    keys = np.array([term.encode() for term in vocabulary])
    order = np.argsort(keys, kind="stable")
    place = np.empty(len(keys), np.int64)
    place[order] = np.arange(len(keys))
    row_of = np.repeat(np.arange(len(rows)), [len(part) for part in term_parts])
    return _sorted(keys[order], place[np.concatenate(term_parts)], row_of, np.concatenate(count_parts), lengths)


def merge(parts: Sequence[Postings], keep: Sequence[NDArray[np.bool_]]) -> Postings:
    """The postings of all the kept rows, in order: part after part, renumbered without gaps.

    Each part's runs are copied to their places in the result, which is memory for the result and one part, and no sorting.
    """
    lengths = np.concatenate([p.lengths[k] for p, k in zip(parts, keep, strict=True)]).astype(np.int32)
    keys = np.unique(np.concatenate([p.terms for p in parts]))
    places = [np.searchsorted(keys, p.terms.astype(keys.dtype)) for p in parts]
    per_part = [_kept_counts(p, k) for p, k in zip(parts, keep, strict=True)]
    sizes = np.zeros(len(keys), np.int64)
    for place, size in zip(places, per_part, strict=True):
        sizes[place] += size
    used = sizes > 0  # terms of dropped rows only go with them
    starts = np.zeros(len(keys) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    if not starts[-1]:
        return _empty(lengths)
    most = max(int(p.counts.max()) for p in parts if len(p.counts))
    rows = np.empty(int(starts[-1]), np.int32)
    counts: NDArray[np.unsignedinteger] = np.empty(len(rows), np.uint16)
    if most > np.iinfo(np.uint16).max:
        counts = np.empty(len(rows), np.uint32)
    free = starts[:-1].copy()  # where the next posting of each term goes
    base = 0
    for part, kept, place, size in zip(parts, keep, places, per_part, strict=True):
        alive = kept[part.rows]
        # The postings of a term stay together and in order: its first free place, plus how far each is from the term's first one.
        firsts = np.cumsum(size) - size
        to = np.repeat(free[place] - firsts, size)
        to += np.arange(len(to))
        rows[to] = (np.cumsum(kept, dtype=np.int32) - 1 + base)[part.rows[alive]]
        counts[to] = part.counts[alive]
        free[place] += size
        base += int(np.count_nonzero(kept))
    return Postings(keys[used], np.append(starts[:-1][used], starts[-1]), rows, counts, lengths)


def _kept_counts(part: Postings, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(t,) postings of each term that are in kept rows."""
    so_far = np.zeros(len(part.rows) + 1, np.int64)
    np.cumsum(kept[part.rows], out=so_far[1:])
    return so_far[part.starts[1:]] - so_far[part.starts[:-1]]


def _sorted(
    keys: NDArray[np.bytes_],
    term_of: NDArray[np.int64],
    row_of: NDArray[np.int64],
    counts: NDArray[np.int64],
    lengths: NDArray[np.int32],
) -> Postings:
    order = np.argsort(term_of, kind="stable")  # rows come in ascending, so they stay so within a term
    starts = np.zeros(len(keys) + 1, np.int64)
    np.cumsum(np.bincount(term_of, minlength=len(keys)), out=starts[1:])
    narrow = counts.max() <= np.iinfo(np.uint16).max
    times: NDArray[np.unsignedinteger] = counts[order].astype(np.uint16) if narrow else counts[order].astype(np.uint32)
    return Postings(keys, starts, row_of[order].astype(np.int32), times, lengths)


def _empty(lengths: NDArray[np.int32]) -> Postings:
    return Postings(np.empty(0, "S1"), np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.uint16), lengths)
