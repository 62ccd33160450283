"""The words of a corpus file, taken out with plain libraries and none of the project's own readers."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import bs4
import docx
import openpyxl
import pptx
import pypdfium2


def text_of(path: Path) -> str:
    """The whole text of the file, cells and paragraphs each on a line of their own."""
    match path.suffix:
        case ".pdf":
            with pypdfium2.PdfDocument(path) as pdf:
                return "\n".join(page.get_textpage().get_text_range() for page in pdf)
        case ".docx":
            return "\n".join(_docx_lines(path))
        case ".xlsx":
            return "\n".join(_xlsx_lines(path))
        case ".pptx":
            return "\n".join(_pptx_lines(path))
        case ".html":
            page = bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "lxml")
            for hidden in page(["script", "style"]):
                hidden.decompose()
            return page.get_text("")
        case ".eml":
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            assert isinstance(message, email.message.EmailMessage)
            return f"{message['Subject']}\n{message.get_content()}"
        case _:
            return _decoded(path.read_bytes())


def squeezed(text: str) -> str:
    """The text without what a reader may change: white space, the bars of tables, the marks of Markdown."""
    return re.sub(r"[\s|*`#]+", "", text)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("gb18030")


def _docx_lines(path: Path) -> Iterator[str]:
    for part in docx.Document(str(path)).iter_inner_content():
        if isinstance(part, docx.table.Table):
            yield from (cell.text for row in part.rows for cell in row.cells)
        else:
            yield part.text


def _xlsx_lines(path: Path) -> Iterator[str]:
    with closing(openpyxl.load_workbook(path, read_only=True)) as book:
        for sheet in book.worksheets:
            yield sheet.title
            yield from (str(cell) for row in sheet.iter_rows(values_only=True) for cell in row if cell is not None)


def _pptx_lines(path: Path) -> Iterator[str]:
    for slide in pptx.Presentation(str(path)).slides:
        for shape in slide.shapes:
            if shape.has_text_frame:
                yield shape.text_frame.text
            if shape.has_table:
                yield from (cell.text for row in shape.table.rows for cell in row.cells)
        if slide.has_notes_slide:
            yield slide.notes_slide.notes_text_frame.text
