"""Word, Excel and PowerPoint files with bytes that depend on the source alone."""

from __future__ import annotations

import re
import zipfile
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Protocol

import docx
import openpyxl
import pptx
from openpyxl.utils import get_column_letter
from pptx.util import Inches, Pt
from sources import Bullets, Heading, Paragraph, Source, Table


class _Properties(Protocol):
    title: str
    author: str
    created: datetime
    modified: datetime


def write_docx(source: Source) -> None:
    document = docx.Document()
    _describe(document.core_properties, source)
    for block in source.blocks:
        match block:
            case Heading(level, text):
                document.add_heading(text, level=level - 1)  # level 0 is Word's title style
            case Paragraph(text):
                for line in text.splitlines():
                    document.add_paragraph(re.sub(r"^\d+\. ", "", line), style=_list_style(line))
            case Bullets(items):
                for item in items:
                    document.add_paragraph(item, style="List Bullet")
            case Table(header, rows):
                table = document.add_table(rows=1 + len(rows), cols=len(header), style="Table Grid")
                for cells, texts in zip(table.rows, (header, *rows), strict=True):
                    for cell, text in zip(cells.cells, texts, strict=True):
                        cell.text = text
    document.save(str(source.target))
    freeze(source.target, source)


def _list_style(line: str) -> str | None:
    return "List Number" if re.match(r"\d+\. ", line) else None


def write_xlsx(source: Source) -> None:
    """One sheet per top heading."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    book.properties.title = source.meta["title"]
    book.properties.creator = source.meta["author"]
    book.properties.created = _moment(source)
    for block in source.blocks:
        match block:
            case Heading(_, text):
                sheet = book.create_sheet(text)
            case Table(header, rows):
                sheet.append([source.meta["title"]])
                sheet.append(header)
                for row in rows:
                    sheet.append([_number(cell) for cell in row])
                for column, _ in enumerate(header, 1):
                    sheet.column_dimensions[get_column_letter(column)].width = 26
            case _:
                raise ValueError(f"{source.target.name}: a workbook takes headings and tables only")
    book.save(source.target)
    freeze(source.target, source)


def _number(cell: str) -> str | float | int | None:
    """A price as a number, as a person would have typed it; anything else as text."""
    if not cell:
        return None
    if re.fullmatch(r"\d{1,3}(,\d{3})*(\.\d+)?", cell):
        plain = cell.replace(",", "")
        return float(plain) if "." in plain else int(plain)
    return cell


def write_pptx(source: Source) -> None:
    """One slide per top heading; a paragraph that starts with `notes:` goes to the speaker notes."""
    deck = pptx.Presentation()
    _describe(deck.core_properties, source)
    for block in source.blocks:
        match block:
            case Heading(_, text):
                slide = deck.slides.add_slide(deck.slide_layouts[0 if not len(deck.slides) else 5])
                slide.shapes.title.text = text
            case Paragraph(text) if text.startswith("notes: "):
                slide.notes_slide.notes_text_frame.text = text.removeprefix("notes: ")
            case Paragraph(text):
                slide.placeholders[1].text = text
            case Bullets(items):
                box = slide.shapes.add_textbox(Inches(0.7), Inches(1.7), Inches(8.6), Inches(4.5)).text_frame
                box.word_wrap = True
                for number, item in enumerate(items):
                    line = box.paragraphs[0] if not number else box.add_paragraph()
                    line.text, line.font.size = item, Pt(22)
            case Table(header, rows):
                shape = slide.shapes.add_table(
                    1 + len(rows), len(header), Inches(0.7), Inches(1.7), Inches(8.6), Inches(3)
                )
                for r, texts in enumerate((header, *rows)):
                    for c, text in enumerate(texts):
                        shape.table.cell(r, c).text = text
    deck.save(str(source.target))
    freeze(source.target, source)


def _describe(properties: _Properties, source: Source) -> None:
    properties.title = source.meta["title"]
    properties.author = source.meta["author"]
    properties.created = properties.modified = _moment(source)


def _moment(source: Source) -> datetime:
    return datetime.combine(source.date, time(9))


def freeze(path: Path, source: Source) -> None:
    """Write the archive again with the source's date in place of today's, so that equal sources give equal bytes."""
    with zipfile.ZipFile(path) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    stamp = _moment(source).replace(tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts:
            if name == "docProps/core.xml":
                data = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, data)
            info = zipfile.ZipInfo(name, (source.date.year, source.date.month, source.date.day, 9, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
