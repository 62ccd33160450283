"""The filter of a search: `path=policies/* date>=2025-01-01 lang=zh type=pdf|docx`.

Conditions separated by spaces must all hold; `|` gives alternatives, of a value or of a whole condition. Values with spaces or `|` are quoted.
`=` and `!=` take * and ?, and ignore case; a path without them also matches everything in that folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from rag.errors import UsageError

_FIELDS = {
    "path": "path",
    "title": "title",
    "date": "date",
    "lang": "language",
    "language": "language",
    "type": "type",
    "author": "author",
    "root": "root",
    "document": "document",
}
_CONDITION = re.compile(r"(?P<field>\w+)\s*(?P<op>>=|<=|!=|=|>|<)")
_PIECE = re.compile(r"""\s+|\||"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s|"']+)""")
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}(T[\d:.+Z-]+)?)?)?")


class Filterable(Protocol):
    """What a condition looks at."""

    @property
    def document(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def root(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def date(self) -> str | None: ...
    @property
    def author(self) -> str | None: ...


@dataclass(frozen=True)
class Condition:
    """One comparison."""

    field: str
    op: str
    value: str

    def matches(self, facts: Filterable) -> bool:
        """A document without the fact matches only `!=`."""
        actual: str | None = getattr(facts, _FIELDS[self.field])
        if self.op in ("=", "!="):
            return self._equals(actual) == (self.op == "=")
        if actual is None:
            return False
        # "2025-03" means the whole month, so the document's date is cut to what the condition gives.
        return _ORDER[self.op](actual[: len(self.value)], self.value)

    def _equals(self, actual: str | None) -> bool:
        if actual is None:
            return False
        folded, wanted = actual.casefold(), self.value.casefold()
        if self.field == "date":
            return folded.startswith(wanted)
        if fnmatchcase(folded, wanted):
            return True
        return self.field in ("path", "root") and folded.startswith(wanted.rstrip("/") + "/")


@dataclass(frozen=True)
class Filter:
    """Every one of `clauses` must have a condition that holds."""

    clauses: tuple[tuple[Condition, ...], ...] = ()

    def matches(self, facts: Filterable) -> bool:
        return all(any(c.matches(facts) for c in clause) for clause in self.clauses)


def parse(text: str) -> Filter:
    """The filter a user typed; an empty text matches everything. Raises UsageError for what cannot be read."""
    clauses: list[tuple[Condition, ...]] = []
    current: list[Condition] = []
    for words, alternative in _words(text):
        last = current[-1] if current else None
        condition = _condition(words, last if alternative else None, text)
        if alternative and current:
            current.append(condition)
        else:
            if current:
                clauses.append(tuple(current))
            current = [condition]
    if current:
        clauses.append(tuple(current))
    return Filter(tuple(clauses))


def _words(text: str) -> list[tuple[str, bool]]:
    """The words between spaces and bars, unquoted, each with whether a bar stands before it."""
    words: list[tuple[str, bool]] = []
    word: str | None = None
    bar = False
    at = 0
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            raise UsageError(f'filter {text!r}: a quote is not closed; write path="a b/*"')
        at = piece.end()
        values = [g for g in piece.group("double", "single", "bare") if g is not None]
        if values:
            word = (word or "") + values[0]
            continue
        if word is not None:
            words.append((word, bar))
            word, bar = None, False
        bar = bar or piece.group() == "|"
    if word is not None:
        words.append((word, bar))
    return words


def _condition(word: str, last: Condition | None, text: str) -> Condition:
    found = _CONDITION.match(word)
    if found is None and last is not None:
        return _checked(last.field, last.op, word, text)
    if found is None:
        raise UsageError(f"filter {text!r}: {word!r} is no condition; write e.g. path=policies/* or date>=2025-01-01")
    return _checked(found["field"].lower(), found["op"], word[found.end() :].strip(), text)


def _checked(field: str, op: str, value: str, text: str) -> Condition:
    if field not in _FIELDS:
        raise UsageError(f"filter {text!r}: unknown field {field!r}; known are {', '.join(sorted(_FIELDS))}")
    if not value:
        raise UsageError(f"filter {text!r}: {field}{op} has no value")
    if field == "date" and not _DATE.fullmatch(value):
        raise UsageError(f"filter {text!r}: {value!r} is no date; write 2025, 2025-03 or 2025-03-31")
    if op not in ("=", "!=") and field != "date":
        raise UsageError(f"filter {text!r}: {op} compares dates only; use {field}=")
    return Condition(field, op, value)


_ORDER: dict[str, Callable[[str, str], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}
