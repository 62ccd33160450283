"""Text runs with their boxes -> paragraphs, headings and tables in reading order. Pure; the same for a text layer and for OCR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ingest.page_columns import columns
from ingest.page_paragraphs import paragraphs
from ingest.page_runs import Piece, Row, Run, to_rows
from ingest.page_tables import table, table_end


def arrange(runs: Sequence[Run], body_size: float) -> list[Piece]:
    """The pieces of a page in reading order; `body_size` is the font size of the document's running text."""
    rows = to_rows(runs)
    pieces: list[Piece] = []
    for region in columns(rows):
        pieces.extend(_blocks(region, body_size))
    return pieces


def _blocks(rows: list[Row], body_size: float) -> Iterator[Piece]:
    """Tables, and what stands between them."""
    at = 0
    prose: list[Row] = []
    while at < len(rows):
        end = table_end(rows, at)
        cells = table(rows[at:end]) if end - at >= 2 else None
        if cells is None:
            prose.append(rows[at])
            at += 1
            continue
        yield from paragraphs(prose, body_size)
        prose = []
        yield Piece("table", "", rows=cells)
        at = end
    yield from paragraphs(prose, body_size)
