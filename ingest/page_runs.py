"""Text runs with their boxes, and the rows they make: what the layout of a page is told from. Pure.

Coordinates are points, y downwards. A run is text on one line without a wide gap in it; runs at one height make a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.types import BlockKind


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


def to_rows(runs: Sequence[Run]) -> list[Row]:
    """Runs at the same height together, left to right; rows top to bottom."""
    rows: list[Row] = []
    for run in sorted((r for r in runs if r.text.strip()), key=lambda r: ((r.top + r.bottom) / 2, r.left)):
        middle = (run.top + run.bottom) / 2
        if rows and middle < _row_middle(rows[-1]) + 0.4 * min(height(rows[-1][0]), height(run)):
            rows[-1].append(run)
        else:
            rows.append([run])
    for row in rows:
        row.sort(key=lambda r: r.left)
    return rows


def _row_middle(row: Row) -> float:
    return sum((r.top + r.bottom) / 2 for r in row) / len(row)


def height(run: Run) -> float:
    """Of its box, points; at least 1."""
    return max(run.bottom - run.top, 1.0)
