"""Intervals, tests and sample sizes for paired comparisons. Pure: arrays in, numbers out, the same for the same seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 5000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two arms on the same questions."""

    a: float  # mean of the first
    b: float  # mean of the second
    difference: float  # a - b
    low: float  # 95 % interval of the difference
    high: float
    p: float  # paired test, two-sided
    n: int
    needed: int | None  # questions that would decide a difference of this size; None when there is none to see


def interval(values: ArrayLike, seed: int = 0) -> Interval:
    """Mean with its percentile bootstrap interval (Efron 1979), 95 %; Wilson's where all are 0 or all are 1, which tells a
    bootstrap nothing. NaN everywhere for no values."""
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(x.mean())
    if (x == 0).all():
        return Interval(0.0, 0.0, unseen(x.size), int(x.size))
    if (x == 1).all():
        return Interval(1.0, 1 - unseen(x.size), 1.0, int(x.size))
    low, high = np.percentile(_resampled_means(x, seed), [2.5, 97.5])
    # Rounding in the resampled sums may put a constant's bound a hair beside its mean.
    return Interval(mean, min(float(low), mean), max(float(high), mean), int(x.size))


def unseen(n: int) -> float:
    """The largest share that could be there and not be seen in n tries: Wilson's 95 % bound (Wilson 1927) for 0 of n."""
    return 1.96**2 / (n + 1.96**2)


def ratio_interval(parts: ArrayLike, wholes: ArrayLike, seed: int = 0) -> Interval:
    """sum(parts) / sum(wholes), questions resampled together; for precision and recall over questions. n is sum(wholes)."""
    p, w = np.asarray(parts, dtype=np.float64), np.asarray(wholes, dtype=np.float64)
    if p.size == 0 or w.sum() == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    picks = np.random.default_rng(seed).integers(0, p.size, size=(RESAMPLES, p.size))
    totals = w[picks].sum(axis=1)
    ratios = p[picks].sum(axis=1)[totals > 0] / totals[totals > 0]
    low, high = np.percentile(ratios, [2.5, 97.5])
    mean = float(p.sum() / w.sum())
    return Interval(mean, min(float(low), mean), max(float(high), mean), int(w.sum()))


def compare(a: ArrayLike, b: ArrayLike, seed: int = 0) -> Comparison:
    """Paired comparison: bootstrap interval of the mean difference, exact McNemar test where both are yes/no, else a
    paired randomisation test."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape != y.shape:
        raise ValueError(f"pairs are needed: {x.size} against {y.size}")
    if x.size == 0:
        return Comparison(math.nan, math.nan, math.nan, math.nan, math.nan, 1.0, 0, None)
    d = x - y
    low, high = _difference_bounds(d, seed)
    binary = bool(np.isin(x, (0, 1)).all() and np.isin(y, (0, 1)).all())
    p = mcnemar(x, y) if binary else randomisation(d, seed)
    mean = float(d.mean())
    return Comparison(
        float(x.mean()),
        float(y.mean()),
        mean,
        min(low, mean),
        max(high, mean),
        p,
        int(x.size),
        needed_n(d),
    )


def _difference_bounds(d: NDArray[np.float64], seed: int) -> tuple[float, float]:
    """Bootstrap interval of the mean of paired differences; where all of them are the same -1, 0 or 1, as far as what was not seen
    in so many pairs could move it."""
    first = float(d[0])
    if first in (-1.0, 0.0, 1.0) and (d == first).all():
        room = unseen(d.size)
        return max(-1.0, first - room), min(1.0, first + room)
    low, high = np.percentile(_resampled_means(d, seed), [2.5, 97.5])
    return float(low), float(high)


def mcnemar(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Exact two-sided McNemar test (McNemar 1947; binomial on the discordant pairs)."""
    from scipy.stats import binomtest

    first, second = int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())
    return float(binomtest(first, first + second, 0.5).pvalue) if first + second else 1.0


def randomisation(differences: NDArray[np.float64], seed: int = 0) -> float:
    """Two-sided paired randomisation test (Fisher 1935): how often random signs give a mean at least as far from 0.
    Exact up to 12 pairs, else 10,000 draws, counting the observed one."""
    d = differences[differences != 0]
    if d.size == 0:
        return 1.0
    observed = abs(d.sum()) - 1e-12
    if d.size <= 12:
        signs = 1 - 2 * ((np.arange(2**d.size)[:, None] >> np.arange(d.size)) & 1)
        return float((np.abs(signs @ d) >= observed).mean())
    signs = np.random.default_rng(seed).choice(np.array([-1.0, 1.0]), size=(10_000, d.size))
    return float(((np.abs(signs @ d) >= observed).sum() + 1) / 10_001)


def holm(p: Sequence[float]) -> list[float]:
    """p values corrected for their number (Holm 1979), in their order."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    corrected = [0.0] * len(p)
    running = 0.0
    for position, i in enumerate(order):
        running = max(running, min(1.0, (len(p) - position) * p[i]))
        corrected[i] = running
    return corrected


def needed_n(differences: NDArray[np.float64], power: float = 0.8) -> int | None:
    """Pairs needed to see a mean difference of the observed size at the 5 % level with this power (normal approximation);
    None for a difference of 0 or a single pair."""
    if differences.size < 2 or differences.mean() == 0:
        return None
    from scipy.stats import norm

    z = float(norm.ppf(0.975) + norm.ppf(power))
    return max(2, math.ceil((z * float(differences.std(ddof=1)) / float(differences.mean())) ** 2))


def _resampled_means(x: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Means of RESAMPLES draws with replacement."""
    picks = np.random.default_rng(seed).integers(0, x.size, size=(RESAMPLES, x.size))
    means: NDArray[np.float64] = x[picks].mean(axis=1)
    return means
