"""Two columns of prose on a page, told by the gutter that many rows share. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from statistics import median

from ingest.page_runs import Row, Run, height, to_rows


def columns(rows: list[Row]) -> Iterator[list[Row]]:
    """Regions in reading order: where a gutter parts two columns of prose, first the left, then the right one."""
    runs = [r for row in rows for r in row]
    gutter = _gutter(runs)
    if gutter is None:
        yield rows
        return
    # What stands across the gutter ends the columns above it.
    across = sorted((r for r in runs if r.left < gutter - 1 and r.right > gutter + 1), key=lambda r: r.top)
    edges = [(r.top + r.bottom) / 2 for r in across]
    bands: list[list[Run]] = [[] for _ in range(2 * len(edges) + 1)]
    for run in runs:
        middle = (run.top + run.bottom) / 2
        above = sum(e < middle - 0.3 * height(run) for e in edges)
        beside = any(abs(e - middle) <= 0.3 * height(run) for e in edges)
        bands[2 * above + 1 if beside else 2 * above].append(run)
    for band in bands:
        if any(r.left >= gutter for r in band) and any(r.left < gutter for r in band):
            yield to_rows([r for r in band if r.left < gutter])
            yield to_rows([r for r in band if r.left >= gutter])
        elif band:
            yield to_rows(band)


def _are_columns(runs: Sequence[Run], gutter: float) -> bool:
    """Whether most of the text on both sides of the gutter is prose: wide lines of words, side by side."""
    sides = [[r for r in runs if r.right <= gutter + 1], [r for r in runs if r.left >= gutter - 1]]
    if len(sides[0]) + len(sides[1]) < len(runs):
        return False
    for side in sides:
        prose = [
            r
            for r in side
            if len(r.text) + sum(c > "\u2e80" for c in r.text) >= 24 and re.search(r"[a-z\u4e00-\u9fff]{2}", r.text)
        ]
        if len(prose) < 4 or sum(len(r.text) for r in prose) < 0.5 * sum(len(r.text) for r in side):
            return False
    overlap = min(max(r.bottom for r in s) for s in sides) - max(min(r.top for r in s) for s in sides)
    return overlap > 3 * median(height(r) for r in runs)


def _gutter(runs: Sequence[Run]) -> float | None:
    """Where the page's two columns of prose part, None when it has one column."""
    if len(runs) < 12:
        return None
    left, right = min(r.left for r in runs), max(r.right for r in runs)
    best: tuple[int, float, float] | None = None
    for step in range(30, 71):
        x = left + (right - left) * step / 100
        crossing = sum(r.left < x - 1 and r.right > x + 1 for r in runs)
        before = max((r.right for r in runs if r.right <= x + 1), default=left)
        after = min((r.left for r in runs if r.left >= x - 1), default=right)
        if after - before >= 6 and crossing <= 0.35 * len(runs):
            candidate = (crossing, -(after - before), (before + after) / 2)
            best = candidate if best is None or candidate < best else best
    if best is None:
        return None
    x = best[2]
    straight = [r for r in runs if not (r.left < x - 1 and r.right > x + 1)]
    return x if _are_columns(straight, x) else None
