"""Bytes of a text file -> text, for the encodings that company drives hold: UTF-8, UTF-16/32, GB18030, Big5, Windows Western and what else is likely."""

from __future__ import annotations

import codecs
import re

from ingest.parsed import Unreadable
from ingest.quality import common_hanzi_ratio, frequent_hanzi_ratio

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.IGNORECASE)
_SAMPLE = 200_000  # bytes looked at to tell encodings apart


def decode(data: bytes, *, declared: str | None = None) -> str:
    """The text. Raises Unreadable when the bytes are no text in any encoding we know."""
    for bom, name in _BOMS:
        if data.startswith(bom):
            return data[len(bom) :].decode(name, errors="replace")
    wide = _without_bom(data)
    if wide:
        return data.decode(wide, errors="replace")
    if data.count(b"\0", 0, _SAMPLE) > 2:
        raise Unreadable("binary data, not text")
    try:
        return _text(data.decode("utf-8"))
    except UnicodeDecodeError as e:
        # A file cut in the middle of a character, or one bad byte in a large file: still UTF-8.
        if e.start > len(data) - 4 or (e.start > 1000 and _mostly_utf8(data)):
            return _text(data.decode("utf-8", errors="replace"))
    if declared is None and (found := _DECLARED.search(data[:2048])):
        declared = found.group(1).decode("ascii")
    if declared and (text := _try(data, declared)) is not None:
        return _text(text)
    return _text(_guess(data))


def _guess(data: bytes) -> str:
    sample = data[:_SAMPLE]
    best: tuple[float, str] = (0.0, "")
    for name in ("gb18030", "big5", "shift_jis", "euc_kr"):
        text = _try(sample, name, cut=True)
        if text is None:
            continue
        score = common_hanzi_ratio(text) * (1.0 if frequent_hanzi_ratio(text) >= 0.15 else 0.8)
        if name in ("shift_jis", "euc_kr"):  # kana or hangul must be there to believe these
            native = len(re.findall("[\u3040-\u30ff]" if name == "shift_jis" else "[\uac00-\ud7af]", text))
            score = min(1.0, 2.0 * native / max(1, len(re.findall("[^\x00-\x7f]", text)))) * 0.97
        if score > best[0]:
            best = (score, name)
    if best[0] >= 0.6:
        return data.decode(best[1], errors="replace")
    western = data.decode("cp1252", errors="replace")
    letters = len(re.findall("[À-ÖØ-öø-ÿ‘’“”–—…€°§©®]", western[:_SAMPLE]))
    high = len(re.findall("[^\x00-\x7f]", western[:_SAMPLE]))
    if letters >= 0.8 * high and high < 0.4 * len(western[:_SAMPLE]):
        return western
    from charset_normalizer import from_bytes

    match = from_bytes(sample).best()
    if match is None:
        raise Unreadable("binary data or an unknown encoding, not text")
    return data.decode(match.encoding, errors="replace")


def _without_bom(data: bytes) -> str | None:
    """UTF-16 without a mark: in text with ASCII in it every other byte is zero."""
    sample = data[: 4096 & ~1]
    if len(sample) < 4:
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.4 * half and odd < 0.05 * half:
        return "utf-16-be"
    return None


def _mostly_utf8(data: bytes) -> bool:
    text = data[:_SAMPLE].decode("utf-8", errors="replace")
    return text.count("\ufffd") < 0.002 * len(text)


def _try(data: bytes, name: str, *, cut: bool = False) -> str | None:
    """`data` decoded strictly, or None; `cut` = the data may end inside a character."""
    try:
        return codecs.getincrementaldecoder(name)("strict").decode(data, not cut)
    except (UnicodeDecodeError, LookupError, TypeError, ValueError):
        return None


def _text(text: str) -> str:
    sample = text[:_SAMPLE]
    control = len(re.findall("[\x00-\x08\x0e-\x1a\x1c-\x1f]", sample))
    if sample and control > 0.02 * len(sample):
        raise Unreadable("binary data, not text")
    return text
