"""Which documents are versions of one another, and which of them is the newest; which are the same text twice. Pure.

Two documents are versions when they lie in the same folder (archive folders and years in its path do not count), their names and titles
are equal once years and version marks are taken off, those marks differ, and their texts, digits masked, share many word triples. What
comes out every period (reports, minutes, budgets, invoices) is a series, never versions: the older one stays as valid as it was.
Texts are compared by MinHash (Broder 1997, "On the resemblance and containment of documents"): the share of equal minima estimates the
Jaccard similarity of the sets of triples, here with a standard error of at most 0.06 at 64 minima.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.types import Document

MINIMA = 64
SIMILAR = 0.35  # of masked triples, for documents with equal names and titles
DECLARED = 0.15  # where the older one's name or title says that it is superseded
_LEAST_TOKENS = 20  # of a text that can be a duplicate: "No entries." in two places is no duplicate

_TOKEN = re.compile(r"[A-Za-z\u00c0-\u024f]+|\d+(?:[.,]\d+)*|[\u3400-\u9fff]")
_YEAR = r"(?:19|20)\d{2}"
_VERSION = r"(?:\b[vV]|[Rr]ev(?:ision)?|[Vv]er(?:sion)?|[Ee]d(?:ition)?|版本)[ ._-]?(\d+(?:[._]\d+)*)|第([一二三四五六七八九十\d]+)版|\b(\d+)(?:st|nd|rd|th) edition\b"
_MARK = re.compile(
    r"[（(][^()（）]*(?:edition|version|superseded|withdrawn|obsolete|draft|revised|版|废止|作废|失效|草案|修订)[^()（）]*[)）]"
    rf"|{_VERSION}|{_YEAR}\s?年?版?|\b(?:old|new|final|draft|copy|superseded|obsolete|archived?|current|edition|revised)\b"
    r"|旧版|新版|修订版|修订稿|草稿|草案|终稿|副本|已?废止|已?作废|\(\d\)$",
    re.IGNORECASE,
)
_SAYS_OLD = re.compile(r"superseded|withdrawn|obsolete|\bold\b|archived|废止|作废|失效|旧版", re.IGNORECASE)
_SERIES = re.compile(
    r"report|results|minutes|budget|statement|invoice|newsletter|10-?[kq]\b|earnings|forecast|calendar|agenda|protocol|review"
    r"|报告|报表|年报|季报|月报|周报|财报|预算|决算|总结|纪要|发票|账单|对账|日历|计划|例会|周会",
    re.IGNORECASE,
)
_ARCHIVE = re.compile(
    rf"^(?:old|archived?|previous|history|versions?|旧版?|归档|存档|历史(?:版本)?|{_YEAR}年?)$", re.IGNORECASE
)
_FULL_DATE = re.compile(rf"{_YEAR}[-_.年/ ]?(?:0[1-9]|1[0-2]|[1-9](?=[-_.月/]))(?!\d{{3}})")
_CHINESE_DIGITS = {c: n for n, c in enumerate("一二三四五六七八九十", 1)}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is compared of a document."""

    document: str
    path: str
    title: str
    text_key: str  # of letters and digits alone: equal in a Word file and in the PDF made of it
    language: str
    root: str
    minima: NDArray[np.uint32]  # (MINIMA,)
    tokens: int
    content_hash: str = ""  # of the document it was taken of

    def to_json(self) -> list[Any]:
        """For the collection's settings."""
        minima = b64encode(self.minima.astype("<u4").tobytes()).decode()
        return [
            self.document,
            self.path,
            self.title,
            self.text_key,
            self.language,
            self.root,
            minima,
            self.tokens,
            self.content_hash,
        ]

    @classmethod
    def from_json(cls, row: list[Any]) -> Fingerprint:
        document, path, title, text_key, language, root, minima, tokens, content_hash = row
        unpacked = np.frombuffer(b64decode(minima), "<u4").astype(np.uint32)
        return cls(document, path, title, text_key, language, root, unpacked, tokens, content_hash)


def fingerprint(document: Document) -> Fingerprint:
    """The fingerprint of a document's text and names."""
    words = [t.lower() for t in _TOKEN.findall(document.text[:400_000])]
    masked = ["0" if t[0].isdigit() else t for t in words]
    text_key = sha256("".join(words).encode()).hexdigest()[:24]
    facts = (document.id, document.path, document.title, text_key, document.language, document.root)
    return Fingerprint(*facts, _minima(masked), len(words), document.content_hash)


def similarity(a: Fingerprint, b: Fingerprint) -> float:
    """Estimated Jaccard similarity of the masked triples."""
    return float(np.mean(a.minima == b.minima))


def superseded(prints: Sequence[Fingerprint]) -> dict[str, str]:
    """Document -> the newest version of it, or the one copy to be shown, for every document that has one."""
    found: dict[str, str] = {}
    for members in _grouped(
        prints, lambda p: (p.root, _folder(p.path), family_key(_stem(p.path)), family_key(p.title), p.language)
    ):
        for older in members:
            newer = [p for p in members if _is_newer(p, older)]
            if newer:
                found[older.document] = max(newer, key=lambda p: (_marks(p), p.document)).document
    for copies in _grouped([p for p in prints if p.tokens >= _LEAST_TOKENS], lambda p: (p.text_key, p.language)):
        current = [p for p in copies if p.document not in found]
        if len(current) > 1:
            shown = min(
                current, key=lambda p: (bool(_SAYS_OLD.search(p.path)), "!/" in p.path, len(p.path), p.path, p.document)
            )
            found |= {p.document: shown.document for p in current if p is not shown}
    return {old: _end(old, found) for old in found}


def family_key(name: str) -> str:
    """A name or title without years, version marks and punctuation. With a month or a full date it stays whole: one of a series."""
    if _FULL_DATE.search(name):
        return " ".join(re.findall(r"\w+", name.lower()))
    return " ".join(re.findall(r"[^\W_]+", _MARK.sub(" ", name.replace("_", " ")).lower()))


def _is_newer(newer: Fingerprint, older: Fingerprint) -> bool:
    if not family_key(_stem(newer.path)) or min(newer.tokens, older.tokens) < 5:
        return False
    a, b = _marks(newer), _marks(older)
    says_old = bool(_SAYS_OLD.search(_words(older))) and not _SAYS_OLD.search(_words(newer))
    if not says_old and (a == b or not any(a) or not any(b) or a < b or _SERIES.search(_words(older))):
        return False
    return similarity(newer, older) >= (DECLARED if says_old else SIMILAR)


def _marks(p: Fingerprint) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Years and version numbers in name and title; later versions have greater ones."""
    numbers: tuple[int, ...] = ()
    if m := re.search(_VERSION, _words(p), re.IGNORECASE):
        digits = m.group(1) or m.group(3)
        numbers = tuple(int(x) for x in re.split("[._]", digits)) if digits else (_chinese_number(m.group(2)),)
    years = [int(y) for y in re.findall(rf"(?<!\d){_YEAR}(?!\d)", _words(p))]
    return ((max(years),) if years else ()), numbers


def _words(p: Fingerprint) -> str:
    return f"{_stem(p.path)} {p.title}"


def _stem(path: str) -> str:
    return re.sub(r"\.[A-Za-z0-9]{1,8}$", "", path.rsplit("/", 1)[-1])


def _folder(path: str) -> str:
    return "/".join(part for part in path.split("/")[:-1] if not _ARCHIVE.match(part))


def _grouped(prints: Sequence[Fingerprint], key: Callable[[Fingerprint], Hashable]) -> list[list[Fingerprint]]:
    groups: dict[Hashable, list[Fingerprint]] = defaultdict(list)
    for p in prints:
        groups[key(p)].append(p)
    return [members for members in groups.values() if len(members) > 1]


def _end(document: str, marks: dict[str, str]) -> str:
    """The last of a chain of marks."""
    seen = {document}
    while document in marks and marks[document] not in seen:
        document = marks[document]
        seen.add(document)
    return document


def _chinese_number(text: str) -> int:
    return int(text) if text.isdigit() else sum(_CHINESE_DIGITS.get(c, 0) for c in text)


def _minima(tokens: Sequence[str]) -> NDArray[np.uint32]:
    shingles = np.fromiter(
        {zlib.crc32("\0".join(tokens[i : i + 3]).encode()) for i in range(max(1, len(tokens) - 2))}, np.uint64
    )
    multiply, add = _permutations()
    # Universal hashing modulo a Mersenne prime, in steps to bound memory.
    best = np.full(MINIMA, np.iinfo(np.uint32).max, np.uint64)
    for at in range(0, len(shingles), 4096):
        part = (shingles[at : at + 4096, None] * multiply[None, :] + add[None, :]) % np.uint64((1 << 61) - 1)
        best = np.minimum(best, (part & np.uint64(0xFFFFFFFF)).min(axis=0))
    return best.astype(np.uint32)


@cache
def _permutations() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    rng = np.random.default_rng(20240501)
    return rng.integers(1, 1 << 29, MINIMA, np.uint64), rng.integers(0, 1 << 61, MINIMA, np.uint64)
