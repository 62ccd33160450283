"""Workbooks by openpyxl: a page a sheet, each run of filled rows a table."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

import openpyxl

from ingest.parsed import Parsed, Source, TextBuilder, Unreadable
from ingest.readers.office import checked_package, core_date


def read(source: Source) -> Iterator[Parsed]:
    """One document. Values as last calculated, not formulas. Raises Unreadable for what is no workbook, is encrypted, or is too large."""
    try:
        book = openpyxl.load_workbook(checked_package(source), read_only=True, data_only=True)
        yield _document(book, source)
    except (KeyError, ValueError, AttributeError, IndexError, TypeError, SyntaxError, zipfile.BadZipFile) as e:
        raise Unreadable(f"not a readable workbook ({str(e)[:120] or type(e).__name__})") from e


def _document(book: Any, source: Source) -> Parsed:
    builder = TextBuilder(source.limits)
    cells = 0
    names = []
    for number, sheet in enumerate(book.worksheets, 1):
        sheet.reset_dimensions()  # declared sizes lie
        builder.page(number, f"sheet {sheet.title}", tables=1)
        names.append(sheet.title)
        started = False
        rows: list[list[str]] = []
        for row in sheet.iter_rows(values_only=True):
            cells += len(row)
            if cells > source.limits.cells:
                raise Unreadable(f"more than {source.limits.cells:,} cells")
            texts = [cell_text(v) for v in row]
            while texts and not texts[-1]:
                texts.pop()
            if any(texts):
                if not started:
                    builder.heading(sheet.title, 2)
                    started = True
                rows.append(texts)
            elif rows:
                _add(builder, rows)
                rows = []
        _add(builder, rows)
    facts = book.properties
    title = (facts.title or "").strip() or source.name.rsplit(".", 1)[0]
    return builder.build(
        "xlsx",
        title,
        author=(facts.creator or "").replace("openpyxl", "").strip() or None,
        date=core_date(facts.modified if facts.creator != "openpyxl" else None),
    )


def _add(builder: TextBuilder, rows: list[list[str]]) -> None:
    """A single-cell row above a table is its caption."""
    while rows and len([c for c in rows[0] if c]) == 1 and len(rows) > 1 and len([c for c in rows[1] if c]) > 1:
        builder.block("paragraph", " ".join(rows.pop(0)))
    if all(len([c for c in r if c]) <= 1 for r in rows):
        builder.block("paragraph", "\n".join(" ".join(c for c in r if c) for r in rows))
    else:
        builder.table(rows)


def cell_text(value: Any) -> str:
    """A cell as a person would read it: 3.0 is 3, midnight is only the date."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.12g}"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "minutes")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
