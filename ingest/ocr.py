"""Pictures of text -> lines of text. The home of rapidocr, whose wheel carries its models (PP-OCR, Chinese and English)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from ingest.cleaning import join_wrapped
from ingest.parsed import Unreadable

_MAX_SIDE = 3_000  # pixels; larger pictures are reduced first
_SURE = 0.75  # mean confidence below which a picture is tried turned
_BOX_THRESHOLD, _UNCLIP = (
    0.3,
    1.8,
)  # of the detector; the defaults (0.5, 1.6) lost word spaces at line ends in small type


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
    """The text of a Pillow RGB picture, turned upright first where it reads badly. Raises Unreadable when the OCR package is not installed."""
    upright = _read(picture)
    if upright.confidence >= _SURE and (upright.lines or not _has_ink(picture)):
        return upright
    turned = [_read(picture.rotate(angle, expand=True)) for angle in (180, 90, 270)]
    return max([upright, *turned], key=lambda r: r.confidence * min(200, sum(map(len, r.texts))))


def _read(picture: Any) -> ReadLines:
    import numpy as np

    scale = min(1.0, _MAX_SIDE / max(picture.size))
    if scale < 1:
        picture = picture.resize((max(1, int(picture.width * scale)), max(1, int(picture.height * scale))))
    # Without the classifier of upside-down lines: it turned upright lines over, and they were lost (1 in 6 on rendered pages).
    result, _ = _engine()(
        np.asarray(picture)[:, :, ::-1], use_cls=False, box_thresh=_BOX_THRESHOLD, unclip_ratio=_UNCLIP
    )
    lines = []
    for box, text, confidence in result or []:
        xs, ys = [p[0] / scale for p in box], [p[1] / scale for p in box]
        lines.append(Line(_mended(str(text)), min(xs), min(ys), max(xs), max(ys), float(confidence)))
    return ReadLines(tuple(_in_order(lines)))


def _mended(text: str) -> str:
    """Letters and full-width marks inside numbers are what the recogniser takes digits and half-width ones for."""
    text = re.sub(r"(?<=\d)[oO]+(?=[\doO,.]|\b)", lambda m: "0" * len(m.group()), text)
    return re.sub(r"(?<=\d)，(?=\d{3}(?!\d))", ",", text)


def _has_ink(picture: Any) -> bool:
    """Whether there is anything on the picture: its grey values differ."""
    low, high = picture.convert("L").resize((64, 64)).getextrema()
    return bool(high - low > 24)


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
