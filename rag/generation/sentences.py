"""Text to sentences, Chinese and English alike, with their spans (pure)."""

from __future__ import annotations

import re

from rag.types import Span

_ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "no",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "eg",
        "ie",
        "approx",
        "inc",
        "ltd",
        "co",
        "corp",
        "fig",
        "p",
        "pp",
        "sec",
        "art",
        "vol",
        "ca",
        "cf",
        "al",
        "dept",
        "est",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "u.s",
        "u.k",
    ]
)
# A terminator with the quotes, brackets and citations that close the sentence: "… leave. [1]" is one sentence.
_CITATIONS = r"(?:[ \t]*\[\d{1,3}(?:\s*[,，、]\s*\d{1,3})*\])*"
_END = re.compile(rf"(?:[。！？!?；…]+|\.+(?=[\s\"'”’)\]\[]|$))[\"'”’）)」』】]*{_CITATIONS}|\n+")
_CLAUSE = re.compile(r"[,;:，；：、—–]+|\b(?:but|while|whereas|however|and|or|unless|except)\b|但是|但|而且|并且|以及")


def sentence_spans(text: str) -> list[Span]:
    """Spans of the sentences, in order, white space around them left out. A line break always ends one."""
    spans: list[Span] = []
    start = 0
    for match in _END.finditer(text):
        if match.group().startswith(".") and _is_abbreviation(text, match.start()):
            continue
        _add(spans, text, start, match.end())
        start = match.end()
    _add(spans, text, start, len(text))
    return spans


def clauses(sentence: str) -> list[str]:
    """The parts of a sentence between commas, colons and joining words; numbers such as 2,150 stay whole."""
    guarded = re.sub(r"(?<=\d)[,，:](?=\d)", "\0", sentence)
    parts = [p.replace("\0", ",").strip() for p in _CLAUSE.split(guarded)]
    return [p for p in parts if p]


def _add(spans: list[Span], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    stripped = piece.strip()
    if stripped and any(c.isalnum() for c in stripped):
        begin = start + piece.index(stripped[0])
        spans.append((begin, begin + len(stripped)))
    elif stripped and spans and "\n" not in piece.strip("\n"):
        # A lone "[1]" or quote after a sentence belongs to it.
        spans[-1] = (spans[-1][0], start + len(piece.rstrip()))


def _is_abbreviation(text: str, dot: int) -> bool:
    word = re.search(r"[A-Za-z.]*$", text[max(0, dot - 12) : dot])
    found = word.group().lower() if word else ""
    after = text[dot + 1 : dot + 3].strip()
    return found in _ABBREVIATIONS or (len(found) == 1 and found != "i" and bool(after) and after[0].isalpha())
