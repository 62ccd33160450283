"""Rows of prose to paragraphs, list items and headings. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ingest.cleaning import join_wrapped
from ingest.page_runs import Piece, Row

_BULLET = re.compile(
    r"^\s*([•●○▪■◆◦‣·–—-]|\(?\d{1,2}[.)]|\([a-z]\)|[a-z]\)|[（(][一二三四五六七八九十\d]{1,3}[)）]|[一二三四五六七八九十]{1,3}、|\d{1,2}、)\s*\S?"
)
_SENTENCE_END = re.compile(r"[.。!！?？:：”\"]\s*$")


def paragraphs(rows: list[Row], body_size: float) -> Iterator[Piece]:
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
