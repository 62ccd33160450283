"""Plain text: paragraphs at blank lines, headings where a line can be nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.cleaning import is_cjk, join_wrapped
from ingest.encodings import decode
from ingest.parsed import Parsed, Skip, Source, TextBuilder

_CHINESE_HEADING = re.compile(r"^第[一二三四五六七八九十百千零〇0-9]{1,6}([编章节])(\s|$|[^、，。]{0,30}$)")
_NUMBERED = re.compile(r"^(\d{1,2}(\.\d{1,2}){0,3})[.)、]?\s+\S")
_LIST_ITEM = re.compile(r"^\s*([-*•·‣▪–]|\(?\d{1,3}[.)、]|[（(][一二三四五六七八九十\d]{1,3}[)）]|[a-z][.)])\s*\S")
_SENTENCE_END = re.compile("[.。!！?？;；,，:：…]$")
_CHINESE_LEVEL = {"编": 1, "章": 2, "节": 3}


def read(source: Source) -> Iterator[Parsed]:
    """One document, in the encoding that fits. Raises Unreadable for binary data, Skip for an empty file."""
    text = decode(source.bytes())
    if not text.strip():
        raise Skip("empty file")
    builder = TextBuilder(source.limits)
    title = add_paragraphs(builder, text, headings=True)
    yield builder.build("text", title or source.name.rsplit(".", 1)[0])


def add_paragraphs(builder: TextBuilder, text: str, *, headings: bool = False) -> str:
    """Adds the paragraphs, lists and headings of plain text; gives the heading that it begins with, "" when it begins with none."""
    title = ""
    paragraphs = [
        p for p in re.split(r"\n[ \t\u3000]*\n+", text.replace("\r\n", "\n").replace("\r", "\n")) if p.strip()
    ]
    for at, paragraph in enumerate(paragraphs):
        lines = [line.strip() for line in paragraph.split("\n") if line.strip()]
        if headings and at == 0 and 1 < len(lines) <= 5 and heading_level(lines[0], first=True):
            builder.heading(lines[0], 1)  # a title with facts below it
            title = lines.pop(0)
            builder.block("paragraph", "\n".join(lines))
            continue
        if (
            headings
            and len(lines) == 1
            and at + 1 < len(paragraphs)
            and (level := heading_level(lines[0], first=at == 0))
        ):
            builder.heading(lines[0], level)
            title = title or (lines[0] if at == 0 else "")
        elif len(lines) > 1 and sum(bool(_LIST_ITEM.match(line)) for line in lines) * 2 >= len(lines):
            builder.block("list", "\n".join(lines))
        elif _is_wrapped(lines):
            builder.block("paragraph", join_wrapped(lines))
        else:
            builder.block("paragraph", "\n".join(lines))
    return title


def heading_level(line: str, *, first: bool = False) -> int:
    """1..6 when a line that stands alone reads as a heading, else 0."""
    if found := _CHINESE_HEADING.match(line):
        return _CHINESE_LEVEL[found.group(1)]
    if (
        len(line) > (40 if any(map(is_cjk, line)) else 90)
        or _SENTENCE_END.search(line)
        or (_LIST_ITEM.match(line) and not _NUMBERED.match(line))
    ):
        return 0
    if first:
        return 1
    if found := _NUMBERED.match(line):
        return min(6, 2 + found.group(1).count("."))
    return 2 if line[0].isupper() or is_cjk(line[0]) else 0


def _is_wrapped(lines: list[str]) -> bool:
    """Whether the line ends are only the editor's: all lines but the last are long and about as long."""
    if len(lines) < 2:
        return True
    body = lines[:-1]
    longest = max(map(len, lines))
    return longest >= 40 and min(map(len, body)) >= 0.6 * longest
