"""BM25 over the postings of several segments, counted over the allowed rows only.

Score of a row d for the terms t of a query (Robertson, Walker et al. 1994, "Okapi at TREC-3"; k1 = 1.5, b = 0.75):

    sum of weight(t) * idf(t) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * |d| / average length))
    idf(t) = ln(1 + (N - n + 0.5) / (n + 0.5))

That is `rank_bm25.BM25Okapi` with Lucene's idf in place of its own. The original idf is zero for a term in half of the rows and negative
beyond; BM25Okapi then puts a quarter of the mean idf of the vocabulary in its place, which for a small corpus is negative too, so the rows
that hold the word would rank last. N, n and the average length count allowed rows only: what a caller may not see changes no score.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from rag.index.postings import Postings
from rag.index.ranking import EMPTY, Ranking, best

K1 = 1.5
B = 0.75
_CACHE_BYTES = 64 << 20  # of term contributions kept for each allowed set
_SLACK = 1.0001  # sums in another order differ in their last bits; no row is given up for that
_CACHED_FROM = 256  # postings; shorter ones are computed as fast as they are looked up


class KeywordScorer:
    """BM25 over one allowed set. Thread-safe; keeps the contributions of common terms, which most questions share."""

    def __init__(
        self,
        segments: Sequence[Postings],
        ids: Sequence[NDArray[np.int64]],
        allowed: Sequence[NDArray[np.bool_]],
    ) -> None:
        """`ids[s]` are the chunk ids of the rows of segment s, `allowed[s]` which of them count."""
        self._segments = segments
        self._ids = ids
        self._allowed = [None if a.all() else a for a in allowed]
        self.rows = int(sum(int(a.sum()) for a in allowed))
        total = sum(int(p.lengths[a].sum(dtype=np.int64)) for p, a in zip(segments, allowed, strict=True))
        self.average_length = total / self.rows if self.rows else 0.0
        self._norms: list[NDArray[np.float32] | None] = [None] * len(segments)
        self._cache: OrderedDict[str, tuple[_Contribution, ...]] = OrderedDict()
        self._cached_bytes = 0
        self._lock = Lock()

    def search(self, terms: Mapping[str, float] | Sequence[str], k: int) -> Ranking:
        """The `k` best rows; none has score 0. A sequence weighs each term by how often it stands there."""
        weights = _weights(terms)
        if not self.rows or not weights or not self.average_length:
            return EMPTY
        contributions = [(weights[t], parts) for t, parts in self._contributions(list(weights)).items()]
        ids, scores = [], []
        for s in range(len(self._segments)):
            parts = [(w, c[s]) for w, c in contributions if len(c[s].rows)]
            if parts:
                rows, total = _top(parts, len(self._segments[s].lengths), k)
                ids.append(self._ids[s][rows])
                scores.append(total)
        if not ids:
            return EMPTY
        return best(np.concatenate(ids), np.concatenate(scores), k)

    def scores(self, terms: Mapping[str, float] | Sequence[str], ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n,) score of each of these chunks, 0 for one that holds no term or is not allowed."""
        found = np.zeros(len(ids), np.float32)
        weights = _weights(terms)
        if not self.rows or not self.average_length:
            return found
        for term, parts in self._contributions(list(weights)).items():
            for s, c in enumerate(parts):
                if len(c.rows):
                    at = np.searchsorted(self._ids[s], ids)
                    known = (at < len(self._ids[s])) & (self._ids[s][np.minimum(at, len(self._ids[s]) - 1)] == ids)
                    found[known] += np.float32(weights[term]) * _looked_up(c, at[known])
        return found

    def document_frequency(self, term: str) -> int:
        """Allowed rows that hold the term."""
        return sum(len(c.rows) for c in self._contributions([term])[term])

    def _contributions(self, terms: list[str]) -> dict[str, tuple[_Contribution, ...]]:
        """Per term, per segment: allowed rows that hold it and what each gains from it."""
        found: dict[str, tuple[_Contribution, ...]] = {}
        with self._lock:
            for term in terms:
                if term in self._cache:
                    self._cache.move_to_end(term)
                    found[term] = self._cache[term]
        missing = [t for t in terms if t not in found]
        if missing:
            places = [p.find(missing) for p in self._segments]
            for i, term in enumerate(missing):
                found[term] = self._computed([int(at[i]) for at in places])
                self._remember(term, found[term])
        return {t: found[t] for t in terms}

    def _computed(self, places: Sequence[int]) -> tuple[_Contribution, ...]:
        raw: list[tuple[NDArray[np.int32], NDArray[np.float32]]] = []
        for postings, allowed, place in zip(self._segments, self._allowed, places, strict=True):
            if place < 0:
                raw.append((_NO_ROWS, _NO_GAIN))
                continue
            rows, counts = postings.slice(place)
            if allowed is not None:
                kept = allowed[rows]
                rows, counts = rows[kept], counts[kept]
            raw.append((rows, counts.astype(np.float32)))
        n = sum(len(rows) for rows, _ in raw)
        idf = np.log1p((self.rows - n + 0.5) / (n + 0.5))
        factor = np.float32(idf * (K1 + 1))
        return tuple(
            _Contribution(rows, factor * tf / (tf + self._norm(s)[rows]) if len(rows) else _NO_GAIN)
            for s, (rows, tf) in enumerate(raw)
        )

    def _norm(self, s: int) -> NDArray[np.float32]:
        norm = self._norms[s]
        if norm is None:
            lengths = self._segments[s].lengths
            norm = (K1 * (1 - B + B * lengths / self.average_length)).astype(np.float32)
            self._norms[s] = norm
        return norm

    def _remember(self, term: str, parts: tuple[_Contribution, ...]) -> None:
        size = sum(c.rows.nbytes + c.gain.nbytes for c in parts)
        if size < _CACHED_FROM * 8 or size > _CACHE_BYTES // 4:
            return
        with self._lock:
            if term in self._cache:
                return
            self._cache[term] = parts
            self._cached_bytes += size
            while self._cached_bytes > _CACHE_BYTES:
                _, old = self._cache.popitem(last=False)
                self._cached_bytes -= sum(c.rows.nbytes + c.gain.nbytes for c in old)


class _Contribution:
    """What a term adds to the rows of one segment."""

    __slots__ = ("gain", "most", "rows")

    def __init__(self, rows: NDArray[np.int32], gain: NDArray[np.float32]) -> None:
        self.rows = rows
        self.gain = gain
        self.most = float(gain.max()) if len(gain) else 0.0


_NO_ROWS = np.empty(0, np.int32)
_NO_GAIN = np.empty(0, np.float32)


def _weights(terms: Mapping[str, float] | Sequence[str]) -> dict[str, float]:
    if isinstance(terms, Mapping):
        return {t: float(w) for t, w in terms.items() if w > 0}
    counted: dict[str, float] = {}
    for term in terms:
        counted[term] = counted.get(term, 0.0) + 1.0
    return counted


_Weighed = tuple[float, _Contribution]


def _top(parts: Sequence[_Weighed], rows: int, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows that can be among the `k` best, with their full scores.

    Terms are added from the one that can gain most to the one that can gain least, which are also the longest. Once what is left cannot lift
    a row that has none of the earlier terms into the best k, only the rows still in reach are looked up (Turtle and Flood 1995,
    "Query evaluation: strategies and optimizations", the MaxScore method).
    """
    order = sorted(parts, key=lambda p: (-p[0] * p[1].most, len(p[1].rows)))
    left = sum(weight * c.most for weight, c in order)  # what the terms still to come can add to a row
    postings = sum(len(c.rows) for _, c in order)
    total = np.zeros(rows, np.float32)
    added = 0
    for number, (weight, c) in enumerate(order):
        total[c.rows] += c.gain if weight == 1.0 else np.float32(weight) * c.gain
        added += len(c.rows)
        left -= weight * c.most
        later = order[number + 1 :]
        if later and added >= k and postings - added > 2 * added:
            touched = np.flatnonzero(total > 0)  # on floats themselves numpy takes many times as long
            reached = total[touched]
            if len(touched) >= k and (kth := _kth(reached, k)) > left * _SLACK:
                return _finished(parts, later, touched, reached, kth, left, k)
    found = np.flatnonzero(total > 0)
    reached = total[found]
    if len(found) > k:
        found = found[reached * np.float32(_SLACK) >= _kth(reached, k)]
    return found, _summed(parts, found)


def _finished(
    parts: Sequence[_Weighed],
    later: Sequence[_Weighed],
    found: NDArray[np.int64],
    reached: NDArray[np.float32],
    kth: float,
    left: float,
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The same for rows of which only the `later` terms are missing; all others are out of reach."""
    for weight, c in (*later, (0.0, None)):
        near = reached * np.float32(_SLACK) + np.float32(left * _SLACK) >= kth
        found, reached = found[near], reached[near]
        if c is None:
            break
        reached = reached + np.float32(weight) * _looked_up(c, found)
        left = max(0.0, left - weight * c.most)
        kth = _kth(reached, k)
    return found, _summed(parts, found)


def _summed(parts: Sequence[_Weighed], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Full scores of a few rows, added in the order of the query: so a score has the same bits whatever way it was found."""
    total = np.zeros(len(rows), np.float32)
    for weight, c in parts:
        total += np.float32(weight) * _looked_up(c, rows)
    return total


def _kth(scores: NDArray[np.float32], k: int) -> float:
    """The k-th largest; the smallest when there are fewer."""
    k = min(k, len(scores))
    return float(np.partition(scores, len(scores) - k)[len(scores) - k])


def _looked_up(c: _Contribution, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    at = np.minimum(np.searchsorted(c.rows, rows), len(c.rows) - 1)
    return np.where(c.rows[at] == rows, c.gain[at], np.float32(0))
