"""Word documents by python-docx: paragraphs, headings by style, lists, tables, in the order of the body; then foot- and endnotes' place is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import docx
from docx.oxml.ns import qn
from docx.table import Table
from docx.text.paragraph import Paragraph

from ingest.parsed import Parsed, Source, TextBuilder, Unreadable
from ingest.readers.office import checked_package, core_date

_HEADING = re.compile(r"^(?:heading|标题|überschrift|titre)\s*(\d)$", re.IGNORECASE)


def read(source: Source) -> Iterator[Parsed]:
    """One document. Raises Unreadable for what is no Word document, is encrypted, or unpacks beyond the limits."""
    try:
        document = docx.Document(checked_package(source))
    except (KeyError, ValueError, AttributeError, IndexError, SyntaxError) as e:
        raise Unreadable(f"not a readable Word document ({str(e)[:120] or type(e).__name__})") from e
    builder = TextBuilder(source.limits)
    first = ""
    items: list[str] = []

    def flush() -> None:
        if items:
            builder.block("list", "\n".join(items))
            items.clear()

    for kind, element in _blocks(document.element.body):
        if kind == "table":
            flush()
            builder.table(_rows(Table(element, document)))
            continue
        text = _text(element)
        if not text.strip():
            continue
        style = _style(Paragraph(element, document))
        level = (
            1
            if style.lower() in ("title", "标题")
            else int(m.group(1))
            if (m := _HEADING.match(style))
            else _outline(element)
        )
        if level:
            flush()
            builder.heading(text, level)
            first = first or " ".join(text.split())
        elif element.find(f"{qn('w:pPr')}/{qn('w:numPr')}") is not None or style.lower().startswith("list"):
            items.append("- " + " ".join(text.split()))
        else:
            flush()
            builder.block("paragraph", text)
    flush()
    facts = document.core_properties
    title = _known(facts.title) or first or source.name.rsplit(".", 1)[0]
    yield builder.build("docx", title, author=_known(facts.author), date=core_date(facts.modified, facts.created))


def _blocks(body: Any) -> Iterator[tuple[str, Any]]:
    """Paragraphs and tables in order, also those inside content controls and tracked insertions."""
    for child in body.iterchildren():
        if child.tag == qn("w:p"):
            yield "paragraph", child
        elif child.tag == qn("w:tbl"):
            yield "table", child
        elif child.tag in (qn("w:sdt"), qn("w:sdtContent"), qn("w:ins"), qn("w:customXml")):
            yield from _blocks(child)


def _text(paragraph: Any) -> str:
    """Text of a paragraph as it would print: deleted text left out, text boxes and links included."""
    parts = []
    for node in paragraph.iter(qn("w:t"), qn("w:tab"), qn("w:br"), qn("w:cr"), qn("w:noBreakHyphen")):
        if node.tag == qn("w:t"):
            parts.append(node.text or "")
        else:
            parts.append({qn("w:tab"): "\t", qn("w:noBreakHyphen"): "-"}.get(node.tag, "\n"))
    return "".join(parts)


def _style(paragraph: Paragraph) -> str:
    style = paragraph.style
    return (style.name or "") if style is not None else ""


def _outline(paragraph: Any) -> int:
    level = paragraph.find(f"{qn('w:pPr')}/{qn('w:outlineLvl')}")
    value = level.get(qn("w:val"), "9") if level is not None else "9"
    return int(value) + 1 if value.isdigit() and int(value) < 6 else 0


def _rows(table: Table) -> list[list[str]]:
    rows = []
    for tr in table._tbl.tr_lst:
        row: list[str] = []
        for tc in tr.tc_lst:
            row.append(" ".join(_text(p) for p in tc.iter(qn("w:p"))))
            row.extend("" for _ in range(min(tc.grid_span, 50) - 1))
        rows.append(row)
    return rows


def _known(value: str | None) -> str | None:
    value = (value or "").strip()
    return None if value.lower() in ("", "word document", "python-docx", "untitled") else value
