"""Text runs with their boxes -> paragraphs, headings and tables in reading order. Pure; the same for a text layer and for OCR.

Coordinates are points, y downwards. A run is text on one line without a wide gap in it. Runs at one height make a row; a gutter that
many rows share and that parts long texts makes columns; neighbouring rows of several short runs that line up make a table.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ingest.cleaning import join_wrapped
from rag.types import BlockKind

_BULLET = re.compile(
    r"^\s*([•●○▪■◆◦‣·–—-]|\(?\d{1,2}[.)]|\([a-z]\)|[a-z]\)|[（(][一二三四五六七八九十\d]{1,3}[)）]|[一二三四五六七八九十]{1,3}、|\d{1,2}、)\s*\S?"
)
_NUMBER = re.compile(r"^[\s$€£¥(（+–—-]*[\d.,%/\s–—-]*\d[\d.,%)）\s]*[a-zA-Z%元万米克]{0,3}$|^[–—-]+$|^N/?A$")
_SENTENCE_END = re.compile(r"[.。!！?？:：”\"]\s*$")
_PREFIX_ONLY = re.compile(r"^[$€£¥(（\s]+$")
_SUFFIX_ONLY = re.compile(r"^[%)）\s]+$")


@dataclass(frozen=True, slots=True)
class Run:
    """Text on one line."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float  # of the font, points
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A block of a page before it is one of a document."""

    kind: BlockKind
    text: str
    level: int = 0
    rows: tuple[tuple[str, ...], ...] = ()  # of a table


Row = list[Run]


def arrange(runs: Sequence[Run], body_size: float) -> list[Piece]:
    """The pieces of a page in reading order; `body_size` is the font size of the document's running text."""
    rows = to_rows(runs)
    pieces: list[Piece] = []
    for region in _columns(rows):
        pieces.extend(_blocks(region, body_size))
    return pieces


def to_rows(runs: Sequence[Run]) -> list[Row]:
    """Runs at the same height together, left to right; rows top to bottom."""
    rows: list[Row] = []
    for run in sorted((r for r in runs if r.text.strip()), key=lambda r: ((r.top + r.bottom) / 2, r.left)):
        middle = (run.top + run.bottom) / 2
        if rows and middle < _row_middle(rows[-1]) + 0.4 * min(_height(rows[-1][0]), _height(run)):
            rows[-1].append(run)
        else:
            rows.append([run])
    for row in rows:
        row.sort(key=lambda r: r.left)
    return rows


def _row_middle(row: Row) -> float:
    return sum((r.top + r.bottom) / 2 for r in row) / len(row)


def _height(run: Run) -> float:
    return max(run.bottom - run.top, 1.0)


# --- columns --------------------------------------------------------------------------------------------------------


def _columns(rows: list[Row]) -> Iterator[list[Row]]:
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
        above = sum(e < middle - 0.3 * _height(run) for e in edges)
        beside = any(abs(e - middle) <= 0.3 * _height(run) for e in edges)
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
    return overlap > 3 * median(_height(r) for r in runs)


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


# --- tables and text ------------------------------------------------------------------------------------------------


def _blocks(rows: list[Row], body_size: float) -> Iterator[Piece]:
    at = 0
    prose: list[Row] = []
    while at < len(rows):
        end = _table_end(rows, at)
        table = _table(rows[at:end]) if end - at >= 2 else None
        if table is None:
            prose.append(rows[at])
            at += 1
            continue
        yield from _paragraphs(prose, body_size)
        prose = []
        yield Piece("table", "", rows=table)
        at = end
    yield from _paragraphs(prose, body_size)


def _table_end(rows: list[Row], start: int) -> int:
    """End of the run of rows from `start` that may be a table: rows of several runs, single ones between them as labels."""
    if len(rows[start]) < 2:
        return start
    end, labels = start + 1, 0
    at = start + 1
    pitch = max(_height(r) for r in rows[start])
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


def _table(rows: list[Row]) -> tuple[tuple[str, ...], ...] | None:
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
        close = at > 0 and min(r.top for r in rows[at]) - max(r.bottom for r in rows[at - 1]) < 0.5 * _height(
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


def _paragraphs(rows: list[Row], body_size: float) -> Iterator[Piece]:
    """Rows of prose as paragraphs, lists and headings."""
    if not rows:
        return
    lines = [_Line.of(row) for row in rows]
    pitches = sorted(b.top - a.top for a, b in pairwise(lines) if 0 < b.top - a.top < 3 * max(a.size, 6))
    pitch = pitches[len(pitches) // 2] if pitches else 0.0
    right = max(x.right for x in lines)
    group: list[_Line] = []
    for line in lines:
        if group and _breaks(group[-1], line, pitch, right, body_size):
            yield from _piece(group, body_size)
            group = []
        group.append(line)
    yield from _piece(group, body_size)


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    left: float
    right: float
    top: float
    bottom: float
    size: float
    bold: bool

    @classmethod
    def of(cls, row: Row) -> _Line:
        weight = Counter[float]()
        for r in row:
            weight[r.size] += len(r.text)
        size = weight.most_common(1)[0][0]
        return cls(
            " ".join(r.text.strip() for r in row),
            row[0].left,
            row[-1].right,
            min(r.top for r in row),
            max(r.bottom for r in row),
            size,
            all(r.bold for r in row),
        )

    def heading_rank(self, body_size: float) -> int:
        """3 = clearly larger than the running text, 2 = larger, 1 = bold, 0 = no heading."""
        if len(self.text) > 120 or not re.search(r"[A-Za-z\u00c0-\u024f\u4e00-\u9fff]{2}", self.text):
            return 0
        ratio = self.size / body_size if body_size else 1.0
        if ratio >= 1.5:
            return 3
        if ratio >= 1.12:
            return 2
        return 1 if self.bold and not _SENTENCE_END.search(self.text) and ratio > 0.95 else 0


def _breaks(above: _Line, line: _Line, pitch: float, right: float, body_size: float) -> bool:
    """Whether a new paragraph begins at `line`."""
    if above.heading_rank(body_size) != line.heading_rank(body_size) or abs(above.size - line.size) > 0.12 * max(
        above.size, 1
    ):
        return True
    if line.top - above.top > max(1.35 * pitch, pitch + 3) or line.top < above.top:
        return True
    if _BULLET.match(line.text):
        return True
    indented = line.left - above.left > 0.8 * line.size
    short = above.right < right - 0.15 * (right - above.left)
    return bool(_SENTENCE_END.search(above.text)) and (short or (indented and not _BULLET.match(above.text)))


def _piece(lines: list[_Line], body_size: float) -> Iterator[Piece]:
    if not lines:
        return
    text = join_wrapped([x.text for x in lines])
    rank = lines[0].heading_rank(body_size)
    if rank and len(text) <= 200 and len(lines) <= 3:
        yield Piece("heading", text, level={3: 1, 2: 2, 1: 3}[rank])
    else:
        yield Piece("list" if _BULLET.match(lines[0].text) else "paragraph", text)
