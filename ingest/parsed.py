"""What a reader finds in a file, and the builder that keeps text, blocks and pages in step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, BinaryIO

from ingest.cleaning import clean, clean_code, one_line
from rag.types import Block, BlockKind, Page


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost. Beyond it reading stops with a reason."""

    bytes: int = 512 << 20  # of the file, and of everything unpacked from it
    characters: int = 48_000_000  # of text from one file
    pages: int = 20_000
    entries: int = 5_000  # files in an archive, nested ones included
    depth: int = 3  # archives in archives
    ratio: int = 200  # unpacked to packed, above the first 10 MiB
    cells: int = 3_000_000  # of a sheet or table
    columns: int = 16_384  # of a table: what spreadsheets allow
    pixels: int = 120_000_000  # of an image


@dataclass(frozen=True, slots=True)
class Parsed:
    """One readable thing in a file: the file itself (member "") or a member ("inner/x.md", "a.zip!/x.md")."""

    member: str
    type: str
    title: str
    text: str
    pages: tuple[Page, ...] = ()
    blocks: tuple[Block, ...] = ()
    author: str | None = None
    date: str | None = None  # ISO 8601, as the document itself states it

    def to_json(self) -> dict[str, Any]:
        """For the pipe between the reading process and ours."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Parsed:
        """Checked: the other end may have been taken over by a hostile file. Raises ValueError when a span is not in the text."""
        text = str(data["text"])
        pages = tuple(
            Page(
                int(p["number"]),
                _span(p["span"], text),
                str(p["label"])[:200],
                min(1.0, max(0.0, float(p["text_score"]))),
                bool(p["ocr"]),
                int(p["tables"]),
                int(p["characters_lost"]),
            )
            for p in data["pages"]
        )
        blocks = tuple(Block(_kind(b["kind"]), _span(b["span"], text), int(b["level"])) for b in data["blocks"])
        if any(a.span[1] > b.span[0] for a, b in pairwise(blocks)):
            raise ValueError("blocks overlap")
        optional = {k: None if data[k] is None else str(data[k])[:300] for k in ("author", "date")}
        return cls(str(data["member"]), str(data["type"]), str(data["title"])[:500], text, pages, blocks, **optional)


@dataclass(frozen=True, slots=True)
class Unread:
    """A file or member that gave no document, and why. `skipped` = nothing is wrong with it: empty, or not a document."""

    member: str
    reason: str
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """What a reader is given: an open file and what we know about it."""

    name: str  # file name, for its suffix and as the title of last resort
    file: BinaryIO  # seekable, at 0
    size: int  # bytes
    limits: Limits
    ocr: str = "auto"  # auto | never | always
    read_member: Callable[[str, BinaryIO, int], Iterable[Parsed | Unread]] | None = (
        None  # reads one member: name, file, size
    )

    def bytes(self) -> bytes:
        """The whole file."""
        self.file.seek(0)
        return self.file.read()


class Unreadable(Exception):
    """This file cannot be read; the message is the reason, for people."""


class Skip(Exception):
    """There is nothing to read in this file; the message is the reason."""


class TextBuilder:
    """Builds the text of a document block by block; blocks are parted by blank lines, spans always fit."""

    def __init__(self, limits: Limits) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._pages: list[Page] = []
        self._page: Page | None = None
        self._limit = limits.characters

    @property
    def length(self) -> int:
        """Characters so far."""
        return self._length

    def page(self, number: int, label: str = "page", **quality: Any) -> None:
        """What follows stands on this page, sheet or slide."""
        self._close_page()
        self._page = Page(number, (self._length, self._length), label, **quality)

    def block(self, kind: BlockKind, text: str, level: int = 0) -> None:
        """Adds a block; empty text is left out. Raises Unreadable when the text gets too long."""
        text = clean_code(text) if kind == "code" else one_line(text) if kind == "heading" else clean(text)
        if not text:
            return
        if self._length:
            self._parts.append("\n\n")
            self._length += 2
        if self._length + len(text) > self._limit:
            raise Unreadable(f"more than {self._limit:,} characters of text; split the file")
        self._blocks.append(Block(kind, (self._length, self._length + len(text)), level if kind == "heading" else 0))
        self._parts.append(text)
        self._length += len(text)

    def heading(self, text: str, level: int) -> None:
        """Adds a heading of level 1..6."""
        self.block("heading", text, max(1, min(6, level)))

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Adds a table, first row = header, as Markdown, one line a row."""
        self.block("table", markdown_table(rows))

    def build(self, type_: str, title: str, **facts: str | None) -> Parsed:
        """The document. Raises Skip when there is no text at all."""
        self._close_page()
        if not self._length:
            raise Skip("no text in it")
        return Parsed(
            "", type_, one_line(title)[:300], "".join(self._parts), tuple(self._pages), tuple(self._blocks), **facts
        )

    def _close_page(self) -> None:
        if self._page is not None:
            start = min(
                self._page.span[0] + (2 if self._page.span[0] and self._length > self._page.span[0] else 0),
                self._length,
            )
            self._pages.append(replace(self._page, span=(start, self._length)))
            self._page = None


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table; short rows are filled up, empty ones and empty columns dropped. "" when nothing is left."""
    cleaned = [[one_line(c).replace("|", "\\|") for c in r] for r in rows]
    cleaned = [r for r in cleaned if any(r)]
    if not cleaned:
        return ""
    width = max(map(len, cleaned))
    filled = [r + [""] * (width - len(r)) for r in cleaned]
    keep = [c for c in range(width) if any(r[c] for r in filled)]
    lines = ["| " + " | ".join(r[c] for c in keep) + " |" for r in filled]
    return "\n".join([lines[0], "|" + " --- |" * len(keep), *lines[1:]])


def _span(value: Sequence[Any], text: str) -> tuple[int, int]:
    start, end = int(value[0]), int(value[1])
    if not 0 <= start <= end <= len(text):
        raise ValueError(f"span {start}..{end} is not in a text of {len(text)} characters")
    return start, end


def _kind(value: Any) -> BlockKind:
    if value not in ("paragraph", "heading", "table", "code", "list"):
        raise ValueError(f"unknown block {value!r}")
    kind: BlockKind = value
    return kind
