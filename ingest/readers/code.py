"""Source code and configuration: lines as they are, a block a top-level piece, Python's functions and classes as headings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.encodings import decode
from ingest.parsed import Parsed, Skip, Source, TextBuilder

_DEFINITION = re.compile(
    r"^(?:export\s+|public\s+|private\s+|static\s+|async\s+|pub\s+|abstract\s+|final\s+)*(?:def|class|function|func|fn|struct|enum|interface|trait|impl|type|CREATE\s+TABLE)\s+([\w.]+)",
    re.IGNORECASE,
)
_MAX_BLOCK = 60  # lines


def read(source: Source) -> Iterator[Parsed]:
    """One document. Raises Unreadable for binary data."""
    text = decode(source.bytes())
    if not text.strip():
        raise Skip("empty file")
    builder = TextBuilder(source.limits)
    for piece in _pieces(text.expandtabs(4).splitlines()):
        name = next((m.group(1) for line in piece if (m := _DEFINITION.match(line))), None)
        if name:
            builder.heading(name, 2)
        builder.block("code", "\n".join(piece))
    yield builder.build("code", source.name)


def _pieces(lines: list[str]) -> Iterator[list[str]]:
    """Runs of lines that begin at a definition on the left edge, with the comments and decorators above it."""
    piece: list[str] = []
    for line in lines:
        if _DEFINITION.match(line) and any(x.strip() for x in piece):
            lead: list[str] = []
            while piece and re.match(r"(@|//|#|/\*|\*|--)", piece[-1]):
                lead.insert(0, piece.pop())
            if any(x.strip() for x in piece):
                yield piece
            piece = lead
        elif len(piece) >= _MAX_BLOCK and not line.strip():
            yield piece
            piece = []
        piece.append(line)
    if any(x.strip() for x in piece):
        yield piece
