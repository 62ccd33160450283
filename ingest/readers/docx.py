"""Word documents by python-docx: paragraphs, headings by style, lists and tables in the order of the body, a foot- or endnote after the
paragraph that refers to it; headers and footers once, at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import docx
from docx.oxml import parse_xml
from docx.oxml.ns import qn
from docx.table import Table
from docx.text.paragraph import Paragraph

from ingest.parsed import Parsed, Source, TextBuilder, Unreadable
from ingest.readers.office import checked_package, core_date

_CJK = re.compile(r"[\u4e00-\u9fff]{4}")
_HEADING = re.compile(r"^(?:heading|标题|überschrift|titre)\s*(\d)$", re.IGNORECASE)


def read(source: Source) -> Iterator[Parsed]:
    """One document. Raises Unreadable for what is no Word document, is encrypted, or unpacks beyond the limits."""
    try:
        document = docx.Document(checked_package(source))
        notes, running = _notes(document), _running(document)
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
        for note in _noted(element, notes):
            flush()
            builder.block("paragraph", note)
    flush()
    for line in running:
        builder.block("paragraph", line)
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


_NOTES = {"footnotes": ("w:footnote", "w:footnoteReference"), "endnotes": ("w:endnote", "w:endnoteReference")}


def _notes(document: Any) -> dict[tuple[str, str], str]:
    """Text of each foot- and endnote by the tag that refers to it and its id."""
    found = {}
    for relation in document.part.rels.values():
        kind = relation.reltype.rsplit("/", 1)[-1]
        if kind not in _NOTES or relation.is_external:
            continue
        note, reference = _NOTES[kind]
        for element in parse_xml(relation.target_part.blob).iter(qn(note)):
            text = " ".join(" ".join(_text(p) for p in element.iter(qn("w:p"))).split())
            if text:
                found[qn(reference), element.get(qn("w:id"), "")] = text
    return found


def _noted(paragraph: Any, notes: Mapping[tuple[str, str], str]) -> Iterator[str]:
    """The notes that a paragraph refers to, in order."""
    for node in paragraph.iter(*(qn(reference) for _, reference in _NOTES.values())):
        if text := notes.get((node.tag, node.get(qn("w:id"), ""))):
            yield text


def _running(document: Any) -> list[str]:
    """Texts of headers and footers, each once; page numbers and other scraps left out."""
    parts = (
        part
        for section in document.sections
        for part in (section.header, section.first_page_header, section.footer, section.first_page_footer)
        if not part.is_linked_to_previous
    )
    lines = (" ".join(_text(p).split()) for part in parts for p in part._element.iter(qn("w:p")))
    return list(dict.fromkeys(line for line in lines if sum(c.isalpha() for c in line) >= 8 or _CJK.search(line)))


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
