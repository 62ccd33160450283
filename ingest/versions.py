"""Which documents are versions of one another, and which of them is the newest. Pure.

Two documents are versions when their names and titles are equal once years and version marks are taken off, and their texts, digits
masked, share most word triples. Series (minutes of April and of May, invoice 31 and invoice 32) differ in more than a year or a version
mark and are never paired. Texts are compared by MinHash (Broder 1997, "On the resemblance and containment of documents"): the share of
equal minima estimates the Jaccard similarity of the sets of triples, here with a standard error of 0.06 at 64 minima.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.types import Document

MINIMA = 64
SIMILAR = 0.35  # of masked triples, for documents with equal names and titles
DECLARED = 0.15  # where the older one's name or title says that it is superseded

_TOKEN = re.compile(r"[A-Za-z\u00c0-\u024f]+|\d+(?:[.,]\d+)*|[\u3400-\u9fff]")
_YEAR = r"(?:19|20)\d{2}"
_MARK = re.compile(
    rf"(?:[vV]|[Rr]ev(?:ision)?|[Vv]er(?:sion)?|版本)[ ._-]?\d+(?:[._]\d+)*|第[一二三四五六七八九十\d]+版|[（(]?{_YEAR}年?(?:版|修订|修正|edition|版本)?[）)]?"
    r"|\b(?:old|new|final|draft|copy|superseded|current|edition|revised|旧版|新版|草案|修订版|修订|终稿|副本)\b|旧版|新版|修订版|草稿|终稿|副本|\(\d\)$"
)
_FULL_DATE = re.compile(rf"{_YEAR}[-_.年/]?(?:0?[1-9]|1[0-2])(?:[-_.月/]?\d{{0,2}})日?")
_VERSION_NUMBER = re.compile(
    r"(?:[vV]|[Rr]ev(?:ision)?|[Vv]er(?:sion)?|版本)[ ._-]?(\d+(?:[._]\d+)*)|第([一二三四五六七八九十\d]+)版"
)
_CHINESE_DIGITS = {c: n for n, c in enumerate("一二三四五六七八九十", 1)}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is compared of a document."""

    document: str
    name: str  # file name without suffix
    title: str
    date: str  # as the document states it; "" when it does not
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
            self.name,
            self.title,
            self.date,
            self.language,
            self.root,
            minima,
            self.tokens,
            self.content_hash,
        ]

    @classmethod
    def from_json(cls, row: list[Any]) -> Fingerprint:
        return cls(*row[:6], np.frombuffer(b64decode(row[6]), "<u4").astype(np.uint32), row[7], row[8])


def fingerprint(document: Document) -> Fingerprint:
    """The fingerprint of a document's text and names."""
    name = re.sub(r"\.[A-Za-z0-9]{1,8}$", "", document.path.rsplit("/", 1)[-1])
    tokens = ["0" if t[0].isdigit() else t.lower() for t in _TOKEN.findall(document.text[:400_000])]
    return Fingerprint(
        document.id,
        name,
        document.title,
        document.date or "",
        document.language,
        document.root,
        _minima(tokens),
        len(tokens),
        document.content_hash,
    )


def similarity(a: Fingerprint, b: Fingerprint) -> float:
    """Estimated Jaccard similarity of the masked triples."""
    return float(np.mean(a.minima == b.minima))


def superseded(prints: Sequence[Fingerprint]) -> dict[str, str]:
    """Document -> the newest version of it, for every document that has a newer one."""
    found: dict[str, str] = {}
    families: dict[tuple[str, str, str], list[Fingerprint]] = defaultdict(list)
    for p in prints:
        families[p.root, family_key(p.name), p.language].append(p)
    for members in families.values():
        if len(members) < 2:
            continue
        ordered = sorted(members, key=lambda p: (_order(p), p.document))
        for at, older in enumerate(ordered):
            newer = [p for p in ordered[at + 1 :] if _order(p) > _order(older) and _are_versions(older, p)]
            if newer:
                found[older.document] = newer[-1].document
    return found


def family_key(name: str) -> str:
    """A name or title without years, version marks and punctuation. A full date or month is kept: it names one of a series."""
    dates = _FULL_DATE.findall(name)
    if any(len(re.sub(r"\D", "", d)) > 4 for d in dates):
        return " ".join(re.findall(r"\w+", name.lower()))
    return " ".join(re.findall(r"[^\W_]+", _MARK.sub(" ", name.replace("_", " ")).lower()))


def _are_versions(a: Fingerprint, b: Fingerprint) -> bool:
    key = family_key(a.title)
    return (
        bool(family_key(a.name))
        and key == family_key(b.title)
        and min(a.tokens, b.tokens) >= 5
        and similarity(a, b) >= SIMILAR
    )


def _order(p: Fingerprint) -> tuple[tuple[int, ...], str]:
    """Later versions sort later: by version number, then year in name or title, then the stated date."""
    words = f"{p.name} {p.title}"
    number: tuple[int, ...] = ()
    if m := _VERSION_NUMBER.search(words):
        number = tuple(int(x) for x in re.split("[._]", m.group(1))) if m.group(1) else (_chinese_number(m.group(2)),)
    years = [int(y) for y in re.findall(rf"(?<!\d){_YEAR}(?!\d)", words)]
    year = max(years, default=int(p.date[:4]) if re.match(_YEAR, p.date) else 0)
    return (year, *number), p.date


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
