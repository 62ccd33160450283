"""Comma, semicolon or tab separated values: one table, the delimiter that gives the most even rows."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator

from ingest.encodings import decode
from ingest.parsed import Parsed, Skip, Source, TextBuilder, Unreadable


def read(source: Source) -> Iterator[Parsed]:
    """One document. Raises Unreadable for tables beyond the limit of cells."""
    text = decode(source.bytes())
    if not text.strip():
        raise Skip("empty file")
    csv.field_size_limit(10_000_000)
    rows: list[list[str]] = []
    cells = 0
    try:
        for row in csv.reader(
            io.StringIO(text.replace("\0", ""), newline=""), delimiter=delimiter(text), skipinitialspace=True
        ):
            cells += len(row)
            if cells > source.limits.cells:
                raise Unreadable(f"more than {source.limits.cells:,} cells")
            if len(row) > source.limits.columns:
                raise Unreadable(f"more than {source.limits.columns:,} columns")
            if any(c.strip() for c in row):
                rows.append(row)
    except csv.Error as e:
        raise Unreadable(f"not a readable table ({e})") from e
    builder = TextBuilder(source.limits)
    builder.page(1, "sheet", tables=1)
    builder.table(rows)
    yield builder.build("csv", source.name.rsplit(".", 1)[0])


def delimiter(text: str) -> str:
    """The delimiter among , ; tab | that splits the first lines into the same number (> 1) of fields most often; "," when none does."""
    lines = [line for line in text[:20_000].splitlines()[:30] if line.strip()]

    def evenness(mark: str) -> tuple[int, int]:
        counts = Counter(line.count(mark) for line in lines if mark in line)
        return (counts.most_common(1)[0][1], sum(counts)) if counts else (0, 0)

    best = max(",;\t|", key=evenness)
    return best if evenness(best)[0] else ","
