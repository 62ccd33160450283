"""The language of a text, told by its script: enough to choose a tokenizer and an embedder, with no model and no table.

Han and kana and Hangul are told apart exactly. Latin text is called "en"; other scripts have the code of their commonest language.
"""

from __future__ import annotations

import re

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_KANA = re.compile(r"[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9d]")
_HANGUL = re.compile(r"[\uac00-\ud7af\u1100-\u11ff\u3130-\u318f]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f\uff21-\uff3a\uff41-\uff5a]{2,}")
_OTHER = {
    "ru": re.compile(r"[\u0400-\u04ff]{2,}"),
    "ar": re.compile(r"[\u0600-\u06ff]{2,}"),
    "el": re.compile(r"[\u0370-\u03ff]{2,}"),
    "he": re.compile(r"[\u0590-\u05ff]{2,}"),
    "th": re.compile(r"[\u0e00-\u0e7f]{2,}"),
    "hi": re.compile(r"[\u0900-\u097f]{2,}"),
}
_SAMPLE = 20_000  # characters looked at


def detect(text: str) -> str:
    """ "zh", "en", "ja", "ko", "ru", ...: the main language. Text without letters is "en".

    A Chinese word is about two characters, so Chinese with product codes or English terms in it stays Chinese.
    """
    sample = text[:_SAMPLE]
    han = len(_HAN.findall(sample))
    kana = len(_KANA.findall(sample))
    words = {"en": float(len(_LATIN_WORD.findall(sample))), "ko": len(_HANGUL.findall(sample)) / 2}
    words["ja" if kana * 5 > han else "zh"] = (han + kana) / 2
    words |= {code: float(len(pattern.findall(sample))) for code, pattern in _OTHER.items()}
    total = sum(words.values())
    if total == 0:
        return "en"
    for code in ("zh", "ja", "ko"):
        if words.get(code, 0.0) >= 0.4 * total:
            return code
    return max(words, key=lambda code: (words[code], code == "en"))
