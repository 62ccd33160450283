"""Document -> chunks with exact spans. Pure. Whoever changes how chunks are cut changes the name `CHUNKING` in rag/retrieval/fields.py.

A chunk is small, to be found by; its parent span is what may be read around it. Chunks never cross a heading or a page, never cut a table row
or a line of code, and end at sentences. Where a section is longer than one chunk, the cuts fall where the text itself says (paragraph
end, then smallest hash in the window), not where the counting happens to stand: an edit moves the cuts next to it only, so the other
chunks keep their vectors.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b, sha256

from rag.index.language import detect
from rag.index.text import indexed_text
from rag.types import Block, Chunk, Document, Span


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """Sizes in estimated tokens (see `estimate_tokens`)."""

    least: int = 110  # a cut may fall from here on
    most: int = 260  # and must fall before this, if a sentence, row or line ends there
    whole: int = (
        340  # what is left of a section is not cut if it is no longer than this: half a thought is found by nothing
    )
    hard: int = 420  # no chunk is longer, whatever has to be cut: embedders see 512 tokens, context included
    parent: int = 900  # of what may be read around a chunk

    def __post_init__(self) -> None:
        if not 0 < self.least < self.most <= self.whole <= self.hard <= self.parent:
            rising = f"{self.least} < {self.most} <= {self.whole} <= {self.hard} <= {self.parent}"
            raise ValueError(f"chunk sizes must rise: {rising}")


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not cut: a sentence, a list item, a table row, a line of code."""

    start: int
    end: int
    tokens: int
    ends_block: bool
    table: int  # index of the table it is a row of, -1 outside
    page: int  # index of its page, -1 where there are none


@dataclass(frozen=True, slots=True)
class _Section:
    heading: tuple[str, ...]
    blocks: tuple[Block, ...]


def chunk(document: Document, sizes: ChunkSizes | None = None) -> list[Chunk]:
    """The chunks in order, ids -1. `document.text[a:b] == chunk.text` holds for each; every block's text but headings' and a split
    table's header lies in exactly one chunk."""
    sizes = sizes or ChunkSizes()
    page_starts = [p.span[0] for p in document.pages]
    chunks: list[Chunk] = []
    for section in _sections(document):
        spans = list(_cut_section(document.text, section, page_starts, sizes))
        for at, (span, header) in enumerate(spans):
            text = document.text[span[0] : span[1]]
            page = None
            if document.pages:
                page = document.pages[max(0, bisect_right(page_starts, span[0]) - 1)].number
            found = Chunk(
                id=-1,
                document=document.id,
                text=text,
                span=span,
                page=page,
                heading=(*section.heading, header) if header else section.heading,
                language=detect(text),
                title=document.title,
                parent=_parent(document.text, [s for s, _ in spans], at, sizes),
            )
            chunks.append(replace(found, content_hash=sha256(indexed_text(found).encode()).hexdigest()))
    return chunks


_WORD = re.compile(r"[A-Za-z\u00c0-\u024f\u0370-\u1fff]+|\d{1,3}|[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\s\w]|\w")


def estimate_tokens(text: str) -> int:
    """About the tokens that a WordPiece or Unigram model makes of it, from above for prose: a Chinese character 1, a word 1 per begun 6 letters, digits 1 per 3."""
    total = 0
    for match in _WORD.finditer(text):
        length = match.end() - match.start()
        total += 1 if length <= 6 else (length + 5) // 6
    return total


def _sections(document: Document) -> Iterator[_Section]:
    """Runs of blocks under one heading path. A heading with nothing under it, no deeper heading either, stands for itself."""
    blocks: Sequence[Block] = document.blocks or (Block("paragraph", (0, len(document.text))),)
    path: list[tuple[int, str]] = []
    run: list[Block] = []
    pending: Block | None = None  # a heading that nothing has followed yet
    for block in blocks:
        if block.kind != "heading":
            run.append(block)
            pending = None
            continue
        if run:
            yield _Section(tuple(t for _, t in path), tuple(run))
            run = []
        if pending is not None and block.level <= pending.level:
            yield _Section(tuple(t for _, t in path[:-1]), (pending,))
        while path and path[-1][0] >= block.level:
            path.pop()
        path.append((block.level, " ".join(document.text[block.span[0] : block.span[1]].split())[:200]))
        pending = block
    if run:
        yield _Section(tuple(t for _, t in path), tuple(run))
    elif pending is not None:
        yield _Section(tuple(t for _, t in path[:-1]), (pending,))


def _cut_section(
    text: str, section: _Section, page_starts: Sequence[int], sizes: ChunkSizes
) -> Iterator[tuple[Span, str]]:
    """Spans of the section's chunks; with each the header of the table that it continues, "" otherwise."""
    headers: list[tuple[str, int]] = []  # header line, end of the header in the text
    units: list[_Unit] = []
    for block in section.blocks:
        table = -1
        if block.kind == "table":
            table = len(headers)
            headers.append(_table_header(text, block))
        units.extend(_units(text, block, table, bisect_right(page_starts, block.span[0]) - 1, sizes))
    start = 0
    while start < len(units):
        end = _choose_cut(text, units, start, sizes)
        first = units[start]
        header = ""
        if first.table >= 0 and first.start >= headers[first.table][1]:
            header = headers[first.table][0]
        yield (first.start, units[end - 1].end), header
        start = end


def _choose_cut(text: str, units: Sequence[_Unit], start: int, sizes: ChunkSizes) -> int:
    """Index after the last unit of the chunk that begins at `start`. A chunk lies on one page: that page is what a citation names."""
    total = 0
    cut = 0
    candidates: list[tuple[bool, bytes, int]] = []
    for at in range(start, len(units)):
        unit = units[at]
        if unit.page != units[start].page:
            return at
        total += unit.tokens
        if total > sizes.most and at > start and not cut:
            cut = min(candidates)[2] if candidates else at
        if cut and total > sizes.whole:
            return cut
        if total >= sizes.least:
            content = blake2b(text[unit.start : unit.end].encode(), digest_size=8).digest()
            candidates.append((not unit.ends_block, content, at + 1))
    return len(units)


def _units(text: str, block: Block, table: int, page: int, sizes: ChunkSizes) -> Iterator[_Unit]:
    start, end = block.span
    if block.kind in ("table", "code", "list"):
        spans = _lines(text, start, end)
        if block.kind == "table" and len(spans) > 2:
            spans = [(spans[0][0], spans[2][1]), *spans[3:]]  # the header never stands alone
    else:
        spans = sentences(text, start, end)
    flat: list[Span] = []
    for span in spans:
        flat.extend(
            [span] if estimate_tokens(text[span[0] : span[1]]) <= sizes.hard else _split_long(text, span, sizes.most)
        )
    for at, (a, b) in enumerate(flat):
        yield _Unit(a, b, estimate_tokens(text[a:b]), at + 1 == len(flat), table, page)


def _lines(text: str, start: int, end: int) -> list[Span]:
    spans = []
    for match in re.finditer(r"[^\n]*\S[^\n]*", text[start:end]):
        spans.append((start + match.start(), start + match.end()))
    return spans


# An end of sentence: CJK marks with closing quotes, or Latin marks followed by space and something that begins a sentence; or a line end.
_SENTENCE_END = re.compile(
    r"""[。！？；…]+[”’」』）》】\])"']*|[.!?]+["'”’)\]]*(?=\s+[\[("'“‘A-Z0-9\u2e80-\u9fff])|\n+"""
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Fig|Figs|Sec|Art|Inc|Ltd|Corp|Co|vs|etc|e\.g|i\.e|cf|al|approx|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec|U\.S|p|pp)|\b[A-Z])\.$"
)


def sentences(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """Spans of the sentences in `text[start:end]`, without the white space between them; Chinese and English alike."""
    end = len(text) if end is None else end
    spans: list[Span] = []
    at = start
    for match in _SENTENCE_END.finditer(text, start, end):
        if match.group()[0] == "." and _ABBREVIATION.search(text, max(at, match.start() - 12), match.start() + 1):
            continue
        _add_trimmed(spans, text, at, match.end())
        at = match.end()
    _add_trimmed(spans, text, at, end)
    return spans


def _add_trimmed(spans: list[Span], text: str, start: int, end: int) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        spans.append((start, end))


def _split_long(text: str, span: Span, most: int) -> list[Span]:
    """A unit that is too long even alone: cut at clauses, else at cell or word ends, else anywhere."""
    pieces: list[Span] = []
    start = span[0]
    while start < span[1]:
        # No token estimate gives less than 1 for 6 characters: 6 * most characters is a safe window, then shrink to fit.
        end = min(span[1], start + 6 * most)
        while end - start > 1 and estimate_tokens(text[start:end]) > most:
            end = start + max(1, (end - start) * 3 // 4)
        if end < span[1]:
            window = text[start:end]
            cut = max(window.rfind(mark) for mark in ("，", "、", "；", ", ", "; ", " | "))
            if cut < len(window) // 3:
                cut = window.rfind(" ")
            if cut >= len(window) // 3:
                end = start + cut + 1
        _add_trimmed(pieces, text, start, end)
        start = end
    return pieces


def _table_header(text: str, block: Block) -> tuple[str, int]:
    """The header row as one line of words, at most 200 characters, and where the body begins."""
    rows = _lines(text, *block.span)
    if len(rows) < 3 or not re.fullmatch(r"[|\s:-]+", text[rows[1][0] : rows[1][1]]):
        return "", block.span[1]
    cells = [c.strip() for c in text[rows[0][0] : rows[0][1]].strip("| ").split(" | ")]
    return " | ".join(c for c in cells if c)[:200], rows[1][1]


def _parent(text: str, spans: Sequence[Span], at: int, sizes: ChunkSizes) -> Span:
    """The chunk and as many of its neighbours in the section as fit, nearest first."""
    first = last = at
    total = estimate_tokens(text[spans[at][0] : spans[at][1]])
    grown = True
    while grown:
        grown = False
        for step in (last + 1, first - 1):
            if 0 <= step < len(spans):
                cost = estimate_tokens(text[spans[step][0] : spans[step][1]])
                if total + cost <= sizes.parent:
                    total += cost
                    first, last, grown = min(first, step), max(last, step), True
    return spans[first][0], spans[last][1]
