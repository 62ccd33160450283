"""Text to tokens, the same for indexing and for asking.

Folding first (NFKC, so full and half width are one; lower case; traditional to simplified Chinese), then:
- Latin, Cyrillic, ... words, English ones stemmed (Snowball "english", Porter 1980/2001);
- identifiers whole and in parts: "PX-77/b" gives px-77/b, px, 77, b; numbers likewise: "914,000" gives 914,000 and 914000;
- Han runs as jieba's words and as character bigrams: words alone miss what the dictionary cuts differently in the question;
- kana and Hangul runs as bigrams.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Any

TOKENIZER = "ragbase-1 (NFKC, t2s, jieba words + bigrams, snowball english)"
MAX_BYTES = 48  # of one token; a longer one keeps its beginning and a digest of the whole
REPEATED = 24  # characters up to which what stands between white space is likely to come again

_CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_KANA_HANGUL = "\u3040-\u30ff\u31f0-\u31ff\uac00-\ud7af\u1100-\u11ff"
_RUN = re.compile(
    rf"(?P<han>[{_CJK}]+)"
    rf"|(?P<syllables>[{_KANA_HANGUL}]+)"
    rf"|(?P<word>(?:(?![{_CJK}{_KANA_HANGUL}_])\w)+(?:[-_./:,@'’&]+(?:(?![{_CJK}{_KANA_HANGUL}_])\w)+)*(?:\+\+|\#)?)"
)
_HAN = re.compile(f"[{_CJK}]")
_PARTS = re.compile(r"[^\W_]+")
_DIGITS_AND_LETTERS = re.compile(r"\d+|[^\W\d_]+")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_PLAIN = re.compile(r"[a-z]+")


def tokenize(text: str) -> list[str]:
    """Tokens in the order of the text, repeats kept. None is empty or longer than `MAX_BYTES` in UTF-8."""
    tokens: list[str] = []
    for piece in fold(text).split():
        # No run goes across white space. What is longer is mostly Chinese, and hardly comes twice.
        tokens += _known(piece) if len(piece) <= REPEATED else _pieces(piece)
    return tokens


@lru_cache(maxsize=65536)
def _known(piece: str) -> tuple[str, ...]:
    return tuple(_pieces(piece))


def _pieces(piece: str) -> list[str]:
    tokens: list[str] = []
    for match in _RUN.finditer(piece):
        run = match.group()
        if match.lastgroup == "han":
            tokens += _han(run)
        elif match.lastgroup == "syllables":
            tokens += [run] if len(run) == 1 else [run[i : i + 2] for i in range(len(run) - 1)]
        else:
            tokens += _word(run)
    return tokens


def fold(text: str) -> str:
    """`text` with the differences removed that a search must not see."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return _simplifier().convert(folded) if _HAN.search(folded) else folded


def _han(run: str) -> list[str]:
    if len(run) == 1:
        return [run]
    bigrams = [run[i : i + 2] for i in range(len(run) - 1)]
    # Two-character words are bigrams already: counting them twice would only weigh them up.
    return bigrams + [_bounded(w) for w in _segmenter().cut_for_search(run) if len(w) != 2]


def _word(run: str) -> tuple[str, ...]:
    if _PLAIN.fullmatch(run):
        return (_english(run),)
    if _NUMBER.fullmatch(run):
        return (_bounded(run), _bounded(run.replace(",", "")))
    run = run.replace("’", "'").removesuffix("'s")
    parts = _PARTS.findall(run)
    if "'" in run and not any(c.isdigit() for c in run) and re.fullmatch(r"[^\W\d_]+(?:'[^\W\d_]+)+", run):
        return (_stem(run.replace("'", "")), *(_stem(p) for p in parts if len(p) > 2))
    if len(parts) == 1 and run == parts[0]:
        pieces = _DIGITS_AND_LETTERS.findall(run)
        # "px77" is found by "px-77" and the other way round: both give px and 77.
        return (_bounded(_stem(run)), *map(_bounded, pieces)) if len(pieces) > 1 else (_bounded(_stem(run)),)
    whole = run.rstrip("'")
    return (_bounded(whole), *(_bounded(_stem(p)) for p in parts))


def _stem(word: str) -> str:
    return _english(word) if _PLAIN.fullmatch(word) else _bounded(word)


def _english(word: str) -> str:
    return _bounded(_stemmer().stemWord(word) if len(word) > 2 else word)


def _bounded(token: str) -> str:
    if len(token) <= MAX_BYTES // 4:  # a character has 4 bytes at most
        return token
    data = token.encode()
    if len(data) <= MAX_BYTES:
        return token
    return data[:31].decode(errors="ignore") + "~" + blake2b(data, digest_size=8).hexdigest()


@cache
def _segmenter() -> Any:
    import rjieba

    return rjieba.Jieba()


@cache
def _simplifier() -> Any:
    import opencc

    return opencc.OpenCC("t2s")


@cache
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")
