"""PDF by pdfium: text with its boxes, so that paragraphs, headings, columns and tables come out as such; pages without readable text by OCR.

Chosen by measurement over pypdf, which stays as the reader of files that pdfium refuses (docs/bench/ingest.md).
"""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from ingest.page_layout import arrange
from ingest.page_runs import Run, to_rows
from ingest.parsed import Parsed, Skip, Source, TextBuilder, Unreadable
from ingest.quality import RED, TextQuality, measure

_FEW = 24  # visible characters: a page with fewer and a picture on it is a scan
_OCR_SCALE = 200 / 72  # pixels a point: 200 dpi
_MAX_CHARACTERS = 200_000  # on one page


@dataclass
class _Page:
    number: int
    height: float
    runs: list[Run] = field(default_factory=list)
    quality: TextQuality = field(default_factory=lambda: TextQuality(1.0, 0))
    ocr: bool = False
    unread: str = ""  # why a page that is a picture was not read


def read(source: Source) -> Iterator[Parsed]:
    """One document, a page a page. Raises Unreadable for what is damaged, encrypted or too long."""
    try:
        pdf = pypdfium2.PdfDocument(source.bytes())
    except pypdfium2.PdfiumError as e:
        if "assword" in str(e):
            raise Unreadable("encrypted: it needs a password") from e
        from ingest.readers import pdf_pypdf

        yield from pdf_pypdf.read(source)
        return
    if len(pdf) > source.limits.pages:
        raise Unreadable(f"{len(pdf):,} pages, more than the {source.limits.pages:,} allowed")
    pages = [_read_page(pdf, number, source) for number in range(1, len(pdf) + 1)]
    body = _body_size(pages)
    _drop_running_titles(pages)
    builder = TextBuilder(source.limits)
    first = ""
    for page in pages:
        pieces = arrange(page.runs, body)
        builder.page(
            page.number, text_score=page.quality.score, ocr=page.ocr, characters_lost=page.quality.characters_lost,
            tables=sum(p.kind == "table" for p in pieces),
        )  # fmt: skip
        for piece in pieces:
            if piece.kind == "table":
                builder.table(piece.rows)
            else:
                builder.block(piece.kind, piece.text, piece.level)
                first = first or (piece.text if piece.kind == "heading" and piece.level <= 2 else "")
    if not builder.length:
        raise (
            Skip("no text on any page") if source.ocr != "never" else Unreadable("a scan without text, and OCR is off")
        )
    facts = pdf.get_metadata_dict()
    title = _known_title(facts.get("Title", ""), source.name) or first or source.name.rsplit(".", 1)[0]
    yield builder.build(
        "pdf", title, author=facts.get("Author") or None, date=facts.get("ModDate") or facts.get("CreationDate") or None
    )


def _read_page(pdf: Any, number: int, source: Source) -> _Page:
    try:
        page = pdf[number - 1]
    except pypdfium2.PdfiumError:
        return _Page(number, 0.0, quality=TextQuality(0.0, 1))
    found = _Page(number, page.get_height())
    found.runs, text = _runs(page)
    found.quality = measure(text)
    visible = sum(not c.isspace() for c in text)
    scan = visible < _FEW and _has_picture(page)
    if source.ocr == "always" or (source.ocr == "auto" and (scan or (found.quality.score < RED and visible >= _FEW))):
        _read_by_ocr(page, found)
    elif scan and source.ocr == "never":
        found.quality, found.unread = TextQuality(0.0, 0), "a scan without text, and OCR is off"
    page.close()
    return found


def _runs(page: Any) -> tuple[list[Run], str]:
    """The runs of a page's text layer, and the text as it is, for its score."""
    textpage = page.get_textpage()
    raw = textpage.raw
    count = min(textpage.count_chars(), _MAX_CHARACTERS)
    height = page.get_height()
    box = pdfium.FS_RECTF()
    ref = ctypes.byref(box)
    unicode_of, box_of = pdfium.FPDFText_GetUnicode, pdfium.FPDFText_GetLooseCharBox
    runs: list[Run] = []
    letters: list[str] = []
    everything: list[str] = []
    left = right = top = bottom = 0.0
    first = 0

    def close() -> None:
        text = _joined(letters)
        if text.strip():
            size = pdfium.FPDFText_GetFontSize(raw, first) or 1.0
            # The font's size times the scale of the page: what counts is what is seen.
            seen = (bottom - top) if size <= 1.5 or abs((bottom - top) / size - 1.2) > 0.5 else size
            runs.append(
                Run(
                    text.strip(),
                    left,
                    top,
                    right,
                    bottom,
                    round(seen * 2) / 2,
                    pdfium.FPDFText_GetFontWeight(raw, first) >= 600,
                )
            )
        letters.clear()

    for at in range(count):
        code = unicode_of(raw, at)
        if code in (13, 10):
            everything.append("\n")
            close()
            continue
        character = chr(code) if code and code < 0x110000 else "\ufffd"
        everything.append(character)
        if code in (32, 160, 9):
            if letters:
                letters.append(" ")
            continue
        if code in (2, 0xFFFE):  # pdfium's mark of a hyphen at a line's end
            character = "-"
        if not box_of(raw, at, ref):
            continue
        x0, x1, y0, y1 = box.left, box.right, height - box.top, height - box.bottom
        if letters:
            tall = max(y1 - y0, bottom - top, 1.0)
            moved = abs((y0 + y1) / 2 - (top + bottom) / 2) > 0.6 * tall
            if moved or x0 - right > 1.0 * tall or x0 < left - 0.5 * tall:
                close()
            elif x0 - right > 0.25 * tall:
                if character in "$€£¥":  # a sign before the next number of a table
                    close()
                elif letters[-1] != " ":
                    letters.append(" ")
        if not letters:
            left, top, right, bottom, first = x0, y0, x1, y1, at
        else:
            right, top, bottom = max(right, x1), min(top, y0), max(bottom, y1)
        letters.append(character)
    close()
    textpage.close()
    return runs, _joined(everything)


def _joined(letters: list[str]) -> str:
    """Characters as text; halves of surrogate pairs come one by one."""
    text = "".join(letters)
    return (
        text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if any("\ud800" <= c <= "\udfff" for c in letters)
        else text
    )


def _has_picture(page: Any) -> bool:
    area = max(page.get_width() * page.get_height(), 1.0)
    for at, thing in enumerate(page.get_objects(max_depth=2)):
        if at > 2_000:
            return False
        if thing.type == pdfium.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = thing.get_bounds()
            if (right - left) * (top - bottom) > 0.1 * area:
                return True
        elif thing.type in (pdfium.FPDF_PAGEOBJ_PATH, pdfium.FPDF_PAGEOBJ_SHADING) and at > 200:
            return True  # letters drawn as shapes
    return False


def _read_by_ocr(page: Any, found: _Page) -> None:
    """Puts what OCR reads in the place of the text layer, when it reads better."""
    from ingest.ocr import read_lines

    longest = max(page.get_width(), page.get_height(), 1.0)
    scale = min(_OCR_SCALE, 3_000 / longest)
    picture = page.render(scale=scale).to_pil().convert("RGB")
    try:
        lines = read_lines(picture)
    except Unreadable as e:  # OCR is not installed
        if not found.runs:
            found.quality, found.unread = TextQuality(0.0, 0), str(e)
        return
    text = "\n".join(lines.texts)
    quality = measure(text)
    score = min(quality.score, lines.confidence)
    if len(text) >= _FEW // 4 and (
        score > found.quality.score or not found.runs or len(text) > 4 * sum(len(r.text) for r in found.runs)
    ):
        found.runs = [
            Run(
                x.text,
                x.left / scale,
                x.top / scale,
                x.right / scale,
                x.bottom / scale,
                round((x.bottom - x.top) / scale / 1.3),
            )
            for x in lines.lines
        ]
        found.quality, found.ocr = TextQuality(score, quality.characters_lost), True


def _body_size(pages: list[_Page]) -> float:
    """Font size of most characters."""
    sizes = Counter[float]()
    for page in pages:
        for run in page.runs:
            sizes[run.size] += len(run.text)
    return sizes.most_common(1)[0][0] if sizes else 10.0


def _drop_running_titles(pages: list[_Page]) -> None:
    """Takes away lines at the very top or bottom that most pages have, page numbers included."""
    if len(pages) < 4:
        return
    edges: list[list[tuple[str, list[Run]]]] = []
    seen = Counter[str]()
    for page in pages:
        rows = to_rows([r for r in page.runs if r.bottom < 0.08 * page.height or r.top > 0.92 * page.height])
        marked = [(re.sub(r"\d+", "0", "".join(r.text for r in row)), row) for row in rows]
        edges.append(marked)
        seen.update({m for m, _ in marked})
    for page, marked in zip(pages, edges, strict=True):
        drop = {
            id(r)
            for mark, row in marked
            if seen[mark] >= 0.6 * len(pages) or re.fullmatch(r"\W*0\W*", mark)
            for r in row
        }
        page.runs = [r for r in page.runs if id(r) not in drop]


def _known_title(title: str, name: str) -> str:
    """The title of the file's facts unless a program made it up."""
    title = " ".join(title.split())
    made_up = re.search(
        r"^(microsoft word|untitled|document\d*|slide \d|print|无标题|幻灯片)|\.(docx?|xlsx?|pptx?|indd|pdf|qxd|html?)$|^[\w-]*\d{5,}[\w-]*$|^\(?anonymous",
        title,
        re.IGNORECASE,
    )
    return "" if made_up or len(title) < 4 or measure(title).characters_lost else title
