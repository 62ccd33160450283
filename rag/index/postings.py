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
    """The postings of all the kept rows, in order: part after part, renumbered without gaps."""
    lengths = np.concatenate([p.lengths[k] for p, k in zip(parts, keep, strict=True)]).astype(np.int32)
    keys = np.unique(np.concatenate([p.terms for p in parts]))
    terms, rows, counts = [], [], []
    base = 0
    for part, kept in zip(parts, keep, strict=True):
        renumbered = np.cumsum(kept) - 1 + base
        base += int(kept.sum())
        term_of = np.repeat(np.searchsorted(keys, part.terms.astype(keys.dtype)), np.diff(part.starts))
        alive = kept[part.rows]
        terms.append(term_of[alive])
        rows.append(renumbered[part.rows[alive]])
        counts.append(np.asarray(part.counts)[alive].astype(np.int64))
    term_of, row_of, count_of = np.concatenate(terms), np.concatenate(rows), np.concatenate(counts)
    if not len(term_of):
        return _empty(lengths)
    used, term_of = np.unique(term_of, return_inverse=True)  # terms of dropped rows only go with them
    return _sorted(keys[used], term_of, row_of, count_of, lengths)


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
    width: type[np.unsignedinteger] = np.uint16 if counts.max() <= np.iinfo(np.uint16).max else np.uint32
    return Postings(keys, starts, row_of[order].astype(np.int32), counts[order].astype(width), lengths)


def _empty(lengths: NDArray[np.int32]) -> Postings:
    return Postings(np.empty(0, "S1"), np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.uint16), lengths)
