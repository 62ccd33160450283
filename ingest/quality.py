"""How readable a page of text is: 1 = clean, 0 = garbage. Pure; the tables are counted once from public text.

A text layer can be there and still be wrong: glyphs without a Unicode mapping ("(cid:12)", U+FFFD, private use), Chinese decoded in
the wrong table (rare characters), shifted alphabets ("Wkh txlfn eurzq"). Each leaves a mark that needs no dictionary look-up:
rare Han characters, and letter pairs that no language has.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

RED = 0.6  # below it a page is red: listed by `rag ingest --report`, and its citations say so

# In both scripts; counted in any corpus of Chinese these make up about 40 percent of the running text.
_FREQUENT = frozenset(
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题党程展五果料象员革位入常文总次品式活设及管特件长求"
    "這個為來們動說產過後學經進著電裡現實兩體機當點從業應開還將與關問無軍題員總設長時國對會發種"
)
_CID = re.compile(r"\(cid:\d+\)")
_LOST = re.compile("[\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff\u0000-\u0008\u000e-\u001f]")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_LATIN_WORD = re.compile("[A-Za-z]{2,}")
_OTHER_LETTER = re.compile("[\u00c0-\u024f\u0370-\u1fff\u3040-\u30ff\uac00-\ud7af]")
# Signs that are letters of nothing: what Chinese or UTF-8 looks like when it was read as Latin-1.
_MOJIBAKE = re.compile("[\u00a1-\u00bf\u00d7\u00f7\u0080-\u009f]|Ã.|Â.|â€|锟斤拷|烫烫|屯屯")
_GOOD, _BAD = (
    -3.7,
    -4.9,
)  # mean natural log probability of letter pairs: English -2.3, German -2.9, Polish -3.8, a shifted alphabet -5.6


@dataclass(frozen=True, slots=True)
class TextQuality:
    """What was found on a page."""

    score: float  # 0..1
    characters_lost: int  # glyphs that gave no character


def measure(text: str) -> TextQuality:
    """Score and losses of one page's text. An empty page scores 1: nothing of it is wrong."""
    cids = _CID.findall(text)
    lost = len(cids) + len(_LOST.findall(text))
    rest = _CID.sub(" ", text)
    visible = len(rest) - len(re.findall(r"\s", rest)) + len(cids)
    if not visible:
        return TextQuality(1.0, 0)
    han = _HAN.findall(rest)
    words = _LATIN_WORD.findall(rest)
    latin = sum(map(len, words))
    other = len(_OTHER_LETTER.findall(rest))
    mojibake = sum(map(len, _MOJIBAKE.findall(rest)))
    language = 1.0
    letters = len(han) + latin + other
    if letters >= 24:
        parts = (
            _hanzi_score(han) * len(han) + _latin_score(words) * latin + max(0.0, 1 - mojibake / max(1, other)) * other
        )
        language = parts / letters
    loss = min(1.0, 4.0 * (lost + 0.5 * mojibake) / visible)
    return TextQuality(round(max(0.0, language * (1 - loss)), 4), lost)


def common_hanzi_ratio(text: str) -> float:
    """Share of common Chinese characters (GB 2312 level 1 or Big5 level 1) among the characters beyond ASCII, punctuation left out; 0 without any."""
    beyond = [
        c
        for c in text
        if c > "\x7f" and not ("\u3000" <= c <= "\u303f" or "\uff00" <= c <= "\uffef" or "\u2010" <= c <= "\u2027")
    ]
    if not beyond:
        return 0.0
    common = _common_hanzi()
    return sum(c in common for c in beyond) / len(beyond)


def frequent_hanzi_ratio(text: str) -> float:
    """Share of the some 200 most frequent characters among the Han characters: over 0.2 in Chinese of any kind, under 0.1 in other text decoded as Chinese."""
    han = _HAN.findall(text)
    return sum(c in _FREQUENT for c in han) / len(han) if han else 0.0


def _hanzi_score(han: list[str]) -> float:
    if not han:
        return 1.0
    common = _common_hanzi()
    rare = sum(c not in common for c in han) / len(han)
    return min(1.0, max(0.0, 1.15 - 2.0 * rare))


def _latin_score(words: list[str]) -> float:
    table = _letter_pairs()
    total = pairs = 0.0
    for word in words:
        if word.isupper() and len(word) <= 5:  # abbreviations spell as they like
            continue
        padded = f" {word.lower()} "
        for a, b in pairwise(padded):
            total += table[a][b]
            pairs += 1
    if pairs < 40:
        return 1.0
    return min(1.0, max(0.0, (total / pairs - _BAD) / (_GOOD - _BAD)))


@cache
def _common_hanzi() -> frozenset[str]:
    found = set()
    for lead in range(0xB0, 0xD8):
        found |= set(bytes(b for trail in range(0xA1, 0xFF) for b in (lead, trail)).decode("gb2312", errors="ignore"))
    for lead in range(0xA4, 0xC7):
        for trail in (*range(0x40, 0x7F), *range(0xA1, 0xFF)):
            found |= set(bytes((lead, trail)).decode("big5", errors="ignore"))
    return frozenset(c for c in found if "\u4e00" <= c <= "\u9fff")


@cache
def _letter_pairs() -> dict[str, dict[str, float]]:
    """Natural log probability of a letter (or a word's end, " ") after another, from letter_pairs.json."""
    from math import log

    counts = json.loads((Path(__file__).parent / "letter_pairs.json").read_text(encoding="utf-8"))
    alphabet = counts["alphabet"]
    table = {}
    for a, row in zip(alphabet, counts["rows"], strict=True):
        total = sum(row) + len(alphabet) * 0.5
        table[a] = {b: log((n + 0.5) / total) for b, n in zip(alphabet, row, strict=True)}
    return table
