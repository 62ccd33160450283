"""Tables without lines: neighbouring rows of several short runs that line up. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median

from ingest.cleaning import join_wrapped
from ingest.page_runs import Row, height

_NUMBER = re.compile(r"^[\s$€£¥(（+–—-]*[\d.,%/\s–—-]*\d[\d.,%)）\s]*[a-zA-Z%元万米克]{0,3}$|^[–—-]+$|^N/?A$")
_PREFIX_ONLY = re.compile(r"^[$€£¥(（\s]+$")
_SUFFIX_ONLY = re.compile(r"^[%)）\s]+$")


def table_end(rows: list[Row], start: int) -> int:
    """End of the run of rows from `start` that may be a table: rows of several runs, single ones between them as labels."""
    if len(rows[start]) < 2:
        return start
    end, labels = start + 1, 0
    at = start + 1
    pitch = max(height(r) for r in rows[start])
    while at < len(rows):
        gap = min(r.top for r in rows[at]) - max(r.bottom for r in rows[at - 1])
        if gap > 3.0 * pitch:
            break
        if len(rows[at]) >= 2:
            end, labels = at + 1, 0
        else:
            labels += 1
            if labels > 2 or len(rows[at][0].text) > 90:
                break
        at += 1
    return end


def table(rows: list[Row]) -> tuple[tuple[str, ...], ...] | None:
    """The cells, or None when the rows are no table."""
    several = [row for row in rows if len(row) >= 2]
    if len(several) < 2:
        return None
    cuts = _cuts(several)
    if not cuts:
        return None
    grid = _merge_signs([_cells(row, cuts) for row in rows])
    width = len(grid[0])
    if width < 2:
        return None
    body = [c for row in grid for c in row[1:] if c]
    if not body:
        return None
    numeric = sum(bool(_NUMBER.match(c)) for c in body) / len(body)
    length = median(map(len, body))
    filled = sum(sum(bool(c) for c in row) >= 2 for row in grid)
    if filled < 2 or (numeric < 0.3 and (filled < 3 or length > 30)) or (width == 2 and numeric < 0.3 and length > 24):
        return None
    return tuple(tuple(row) for row in _join_wrapped_cells(grid, rows))


def _join_wrapped_cells(grid: list[list[str]], rows: list[Row]) -> list[list[str]]:
    """A row that only goes on with the cells above it (nothing in its first column, words only, close below) becomes part of that row."""
    joined: list[list[str]] = []
    for at, cells in enumerate(grid):
        close = at > 0 and min(r.top for r in rows[at]) - max(r.bottom for r in rows[at - 1]) < 0.5 * height(
            rows[at][0]
        )
        words = [c for c in cells if c]
        if len(joined) > 1 and close and not cells[0] and not all(_NUMBER.match(c) for c in words):
            joined[-1] = [join_wrapped([a, b]) if a and b else a or b for a, b in zip(joined[-1], cells, strict=True)]
        else:
            joined.append(cells)
    return joined


def _cuts(rows: list[Row]) -> list[float]:
    """The x positions between columns: where (almost) no row has text."""
    left, right = min(r.left for row in rows for r in row), max(r.right for row in rows for r in row)
    step = 2.0
    cover = [0] * (int((right - left) / step) + 2)
    for row in rows:
        for r in row:
            for bin_ in range(int((r.left - left) / step), int((r.right - left) / step) + 1):
                cover[bin_] += 1
    allowed = max(0, int(0.08 * len(rows)))
    cuts, start = [], None
    for at, count in enumerate(cover):
        if count <= allowed and start is None:
            start = at
        elif count > allowed and start is not None:
            if start > 0 and at - start >= 2:
                cuts.append(left + step * (start + at) / 2)
            start = None
    return cuts


def _cells(row: Row, cuts: Sequence[float]) -> list[str]:
    cells = [""] * (len(cuts) + 1)
    for run in row:
        # A run across columns (a heading of several) stands in the first of them.
        anchor = run.left + min(3.0, (run.right - run.left) / 2)
        middle = (run.left + run.right) / 2
        spans = sum(run.left < c < run.right for c in cuts)
        column = sum((anchor if spans else middle) > c for c in cuts)
        cells[column] = f"{cells[column]} {run.text}".strip()
    return cells


def _merge_signs(grid: list[list[str]]) -> list[list[str]]:
    """Columns that hold only currency signs or brackets belong to their neighbours."""
    column = 0
    while column < len(grid[0]):
        cells = [row[column] for row in grid if row[column]]
        if cells and _mostly(_PREFIX_ONLY, cells) and column + 1 < len(grid[0]):
            grid = [[*r[:column], f"{r[column]} {r[column + 1]}".strip(), *r[column + 2 :]] for r in grid]
        elif cells and column and _mostly(_SUFFIX_ONLY, cells):
            grid = [[*r[: column - 1], f"{r[column - 1]}{r[column]}".strip(), *r[column + 1 :]] for r in grid]
        else:
            column += 1
    return grid


def _mostly(pattern: re.Pattern[str], cells: Sequence[str]) -> bool:
    return sum(bool(pattern.match(c)) for c in cells) >= 0.6 * len(cells)
