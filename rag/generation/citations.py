"""Citation numbers in an answer: read, checked against what was offered, rewritten, resolved to spans (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rag.types import Citation, Hit, Span

_MARK = re.compile(r"\s*[\[［【](\d{1,3}(?:\s*[,，、]\s*\d{1,3})*)[\]］】]")


def cited_numbers(text: str) -> tuple[int, ...]:
    """The numbers cited in `text`, in order of first use: "[1, 3]" and "【2】" count too."""
    found = [int(n) for group in _MARK.findall(text) for n in re.findall(r"\d+", group)]
    return tuple(dict.fromkeys(found))


def without_citations(text: str) -> str:
    """`text` without its citation marks."""
    return _MARK.sub("", text).strip()


def with_citations(sentence: str, numbers: Sequence[int]) -> str:
    """The sentence with exactly these citations, placed before its final punctuation."""
    bare = without_citations(sentence)
    if not numbers:
        return bare
    marks = "".join(f"[{n}]" for n in numbers)
    end = re.search(r"[.。!！?？;；]+[\"'”’）)]*$", bare)
    body, tail = (bare[: end.start()], bare[end.start() :]) if end else (bare, "")
    space = "" if not body or body[-1] > "\u2e80" else " "
    return f"{body}{space}{marks}{tail}"


def resolve(numbers: Sequence[int], hits: Sequence[Hit], quotes: Mapping[int, Span]) -> tuple[Citation, ...]:
    """A Citation for each number that was offered. `quotes` gives the span of the quote in the chunk's text; the whole chunk
    is quoted where it is missing."""
    found = []
    for n in numbers:
        if not 1 <= n <= len(hits):
            continue
        hit = hits[n - 1]
        start, end = quotes.get(n, (0, len(hit.chunk.text)))
        if end <= start:
            start, end = 0, len(hit.chunk.text)
        found.append(
            Citation(
                n=n,
                chunk=hit.chunk.id,
                document=hit.chunk.document,
                title=hit.title,
                path=hit.path,
                page=hit.chunk.page,
                span=(hit.chunk.span[0] + start, hit.chunk.span[0] + end),
                quote=hit.chunk.text[start:end],
                text_score=hit.text_score,
            )
        )
    return tuple(found)
