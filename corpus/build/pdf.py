"""PDF files: one or two columns, tables, page footers; Chinese with an embedded or with a named font."""

from __future__ import annotations

import calendar
import os
from functools import partial
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from reportlab.lib import colors, pagesizes
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Table
from reportlab.platypus import Paragraph as Text
from sources import Block, Bullets, Heading, Paragraph, Source
from sources import Table as Grid

MARGIN, GAP, FOOT = 20 * mm, 8 * mm, 12 * mm


def write_pdf(source: Source, cjk_font: Path) -> None:
    """Write one PDF; `cjk_font` is a TrueType file with Chinese glyphs, of which the used ones are embedded."""
    # reportlab takes the date of the file, and through it the file's id, from this variable.
    os.environ["SOURCE_DATE_EPOCH"] = str(calendar.timegm(source.date.timetuple()))
    font = _font(source.meta.get("font", "latin"), cjk_font)
    columns = 2 if source.meta["layout"] == "two-columns" else 1
    width, height = pagesizes.A4
    column = (width - 2 * MARGIN - (columns - 1) * GAP) / columns
    frames = [
        Frame(
            MARGIN + i * (column + GAP), MARGIN + FOOT, column, height - 2 * MARGIN - FOOT, 0, 0, 0, 0, id=f"column{i}"
        )
        for i in range(columns)
    ]
    document = BaseDocTemplate(
        str(source.target), pagesize=pagesizes.A4, title=source.meta["title"], author=source.meta["author"]
    )
    foot = partial(_foot, text=source.meta["footer"], font=font)
    document.addPageTemplates(PageTemplate("page", frames, onPageEnd=foot))
    document.build([flowable for block in source.blocks for flowable in _flow(block, font, column)])


def _font(kind: str, cjk_font: Path) -> str:
    """The registered name of the font: Helvetica, a subset of `cjk_font`, or a font the reader has to bring."""
    if kind == "latin":
        return "Helvetica"
    if kind == "cid":
        pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
        return "STSong-Light"
    if not cjk_font.exists():
        raise FileNotFoundError(f"{cjk_font}: no Chinese font here; install fonts-droid-fallback or pass --cjk-font")
    pdfmetrics.registerFont(TTFont("Chinese", cjk_font))
    return "Chinese"


def _markup(text: str, font: str) -> str:
    """The text as reportlab's markup; what the Chinese font has no glyph for is set in Helvetica."""
    face = getattr(pdfmetrics.getFont(font), "face", None)
    glyphs = getattr(face, "charToGlyph", None)
    if glyphs is None:
        return escape(text)
    runs = groupby(text, key=lambda character: ord(character) in glyphs)
    return "".join(
        escape("".join(run)) if drawn else f'<font name="Helvetica">{escape("".join(run))}</font>'
        for drawn, run in runs
    )


def _foot(canvas: Canvas, document: BaseDocTemplate, *, text: str, font: str) -> None:
    line = Text(_markup(text, font), ParagraphStyle("foot", fontName=font, fontSize=8))
    line.wrapOn(canvas, 150 * mm, MARGIN)
    line.drawOn(canvas, MARGIN, MARGIN - 4 * mm)
    canvas.setFont("Helvetica", 8)
    canvas.drawRightString(pagesizes.A4[0] - MARGIN, MARGIN - 4 * mm, str(document.page))


def _flow(block: Block, font: str, width: float) -> list[Flowable]:
    wrap = None if font == "Helvetica" else "CJK"
    body = ParagraphStyle("body", fontName=font, fontSize=9.5, leading=14, spaceAfter=6, wordWrap=wrap)
    match block:
        case Heading(level, text):
            size = {1: 17, 2: 12.5}.get(level, 10.5)
            bold = "Helvetica-Bold" if font == "Helvetica" else font
            style = ParagraphStyle("heading", body, fontName=bold, fontSize=size, leading=size * 1.3, spaceBefore=8)
            style.keepWithNext = 1
            return [Text(_markup(text, font), style)]
        case Paragraph(text):
            return [Text(_markup(line, font), body) for line in text.splitlines()]
        case Bullets(items):
            return [
                Text(_markup(item, font), ParagraphStyle("item", body, leftIndent=10), bulletText="-") for item in items
            ]
        case Grid(header, rows):
            return [_table(header, rows, body, width)]


def _table(header: tuple[str, ...], rows: tuple[tuple[str, ...], ...], body: ParagraphStyle, width: float) -> Table:
    cell = ParagraphStyle("cell", body, fontSize=8.5, leading=11, spaceAfter=0)
    texts = [[Text(_markup(text, body.fontName), cell) for text in row] for row in (header, *rows)]
    table = Table(texts, _column_widths((header, *rows), cell, width), repeatRows=1, spaceAfter=8)
    table.setStyle(
        [
            ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
            ("BACKGROUND", (0, 0), (-1, 0), colors.Color(0.92, 0.94, 0.9)),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
    )
    return table


def _column_widths(rows: tuple[tuple[str, ...], ...], cell: ParagraphStyle, width: float) -> list[float]:
    """Short columns (codes, prices) stay on one line, the others share the rest by the length of their texts."""
    padding, short = 13.0, width * 0.2
    natural = [
        max(pdfmetrics.stringWidth(row[i], cell.fontName, cell.fontSize) for row in rows) + padding
        for i in range(len(rows[0]))
    ]
    fixed = sum(size for size in natural if size <= short)
    shares = sum(size**0.7 for size in natural if size > short)
    if not shares:
        return [size * width / fixed for size in natural]
    return [size if size <= short else (width - fixed) * size**0.7 / shares for size in natural]
