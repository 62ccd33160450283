"""Small real files of every format, made in memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ingest.parsed import Limits, Parsed, Unread
from ingest.reading import Reading

WORDML = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def read(name: str, data: bytes, *, limits: Limits | None = None, ocr: str = "never") -> list[Parsed | Unread]:
    """What the readers make of a file, in this process."""
    return list(Reading(limits or Limits(), ocr).read(name, io.BytesIO(data), len(data)))


def read_one(name: str, data: bytes, *, ocr: str = "never") -> Parsed:
    """The one document in a file."""
    (found,) = read(name, data, ocr=ocr)
    assert isinstance(found, Parsed), found
    return found


def reason(name: str, data: bytes, *, limits: Limits | None = None) -> str:
    """Why nothing was read."""
    (found,) = read(name, data, limits=limits)
    assert isinstance(found, Unread), found
    return found.reason


def blocks(parsed: Parsed) -> list[tuple[str, str]]:
    """Kind and text of each block."""
    return [(b.kind, parsed.text[b.span[0] : b.span[1]]) for b in parsed.blocks]


def zip_of(files: Mapping[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            package.writestr(name, content)
    return out.getvalue()


def docx(
    *,
    title: str = "",
    paragraphs: Sequence[str] = (),
    table: Sequence[Sequence[str]] = (),
    headings: Sequence[str] = (),
) -> bytes:
    import docx as word

    document = word.Document()
    if title:
        document.core_properties.title = title
    for heading in headings:
        document.add_heading(heading, 1)
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    if table:
        grid = document.add_table(len(table), len(table[0]))
        for r, row in enumerate(table):
            for c, text in enumerate(row):
                grid.cell(r, c).text = text
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def xlsx(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def pptx(slides: Sequence[tuple[str, Sequence[str]]]) -> bytes:
    import pptx as powerpoint

    deck = powerpoint.Presentation()
    for title, lines in slides:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text_frame.text = "\n".join(lines)
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def pdf(*pages: Sequence[str], title: str = "", size: int = 11) -> bytes:
    """Pages of lines in Helvetica, the first line of a page larger where it begins with "# "."""
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(595, 842), invariant=1)
    if title:
        canvas.setTitle(title)
    for lines in pages:
        y = 780
        for line in lines:
            if line.startswith("# "):
                canvas.setFont("Helvetica-Bold", size + 8)
                canvas.drawString(60, y, line[2:])
                y -= 30
            else:
                canvas.setFont("Helvetica", size)
                canvas.drawString(60, y, line)
                y -= 15
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def mail(subject: str, body: str, attachments: Mapping[str, bytes] | None = None, *, html: str | None = None) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Ana <ana@example.com>", "bo@example.com", subject
    message["Date"] = "Mon, 4 May 2026 10:00:00 +0000"
    message.set_content(body)
    if html:
        message.add_alternative(html, subtype="html")
    for name, data in (attachments or {}).items():
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def epub(chapters: Mapping[str, str], title: str) -> bytes:
    items = "".join(f'<item id="{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in chapters)
    spine = "".join(f'<itemref idref="{n}"/>' for n in chapters)
    return zip_of(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
            "OEBPS/book.opf": f'<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title><dc:creator>A. Writer</dc:creator></metadata>'
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
            **{f"OEBPS/{n}.xhtml": f"<html><body>{body}</body></html>" for n, body in chapters.items()},
        }
    )


def font(size: int) -> Any:
    """Noto Sans CJK, from a package."""
    from PIL import ImageFont

    spec = find_spec("cvttf_NotoSansCJK_Regular")
    assert spec is not None and spec.submodule_search_locations
    file = next(Path(spec.submodule_search_locations[0]).glob("*.otf"))
    return ImageFont.truetype(str(file), size)


def scan(text: str, *, size: int = 34, width: int = 1654, noise: int = 0) -> Any:
    """A picture of a page, 200 dpi, as a scanner would give it."""
    import numpy as np
    from PIL import Image, ImageDraw

    lines = text.split("\n")
    picture = Image.new("RGB", (width, 160 + int(size * 1.8) * len(lines)), "white")
    draw = ImageDraw.Draw(picture)
    for n, line in enumerate(lines):
        draw.text((110, 80 + n * int(size * 1.8)), line, fill="black", font=font(size))
    if noise:
        grain = np.random.default_rng(3).integers(-noise, noise + 1, (picture.height, picture.width, 1))
        picture = Image.fromarray(np.clip(np.asarray(picture).astype(int) + grain, 0, 255).astype("uint8"))
    return picture


def picture_bytes(picture: Any, form: str) -> bytes:
    """PNG, JPEG, TIFF or PDF of a picture."""
    out = io.BytesIO()
    picture.save(out, form, **({"resolution": 200} if form == "PDF" else {}))
    return out.getvalue()
