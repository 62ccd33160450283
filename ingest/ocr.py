"""Pictures of text -> lines of text. The home of rapidocr, whose wheel carries its models (PP-OCR, Chinese and English)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from ingest.cleaning import join_wrapped
from ingest.parsed import Unreadable

_MAX_SIDE = 3_000  # pixels; larger pictures are reduced first


@dataclass(frozen=True, slots=True)
class Line:
    """One line that was read, its box in pixels of the picture."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    confidence: float  # 0..1


@dataclass(frozen=True, slots=True)
class ReadLines:
    """The lines in reading order."""

    lines: tuple[Line, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(line.text for line in self.lines)

    @property
    def confidence(self) -> float:
        """Mean over the characters; 1 when nothing was there to be read."""
        total = sum(len(x.text) for x in self.lines)
        return round(sum(x.confidence * len(x.text) for x in self.lines) / total, 4) if total else 1.0

    @property
    def paragraphs(self) -> list[str]:
        """Lines joined where they follow closely and the upper one is full."""
        found: list[list[Line]] = []
        right = max((x.right for x in self.lines), default=0.0)
        for line in self.lines:
            last = found[-1][-1] if found else None
            height = line.bottom - line.top
            if (
                last
                and line.top - last.bottom < 0.9 * height
                and last.right > 0.8 * right
                and abs(line.left - last.left) < 3 * height
            ):
                found[-1].append(line)
            else:
                found.append([line])
        return [join_wrapped([x.text for x in lines]) for lines in found]


def read_lines(picture: Any) -> ReadLines:
    """The text of a Pillow RGB picture. Raises Unreadable when the OCR package is not installed."""
    import numpy as np

    scale = min(1.0, _MAX_SIDE / max(picture.size))
    if scale < 1:
        picture = picture.resize((max(1, int(picture.width * scale)), max(1, int(picture.height * scale))))
    result, _ = _engine()(np.asarray(picture)[:, :, ::-1])
    lines = []
    for box, text, confidence in result or []:
        xs, ys = [p[0] / scale for p in box], [p[1] / scale for p in box]
        lines.append(Line(str(text), min(xs), min(ys), max(xs), max(ys), float(confidence)))
    return ReadLines(tuple(_in_order(lines)))


def _in_order(lines: list[Line]) -> list[Line]:
    """Top to bottom; boxes at the same height left to right."""
    ordered: list[Line] = []
    row: list[Line] = []
    for line in sorted(lines, key=lambda x: (x.top + x.bottom) / 2):
        if row and (line.top + line.bottom) / 2 > max(x.bottom for x in row) - 0.3 * (line.bottom - line.top):
            ordered.extend(sorted(row, key=lambda x: x.left))
            row = []
        row.append(line)
    return ordered + sorted(row, key=lambda x: x.left)


@cache
def _engine() -> Any:
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as e:
        raise Unreadable("a scan or picture; OCR is not installed: pip install 'ragbase[ocr]'") from e
    return RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
