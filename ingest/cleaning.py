"""Text as a file has it -> text as we keep it: same words, no invisible characters, one kind of line end. Pure."""

from __future__ import annotations

import re
import unicodedata

# Characters that show nothing and break search and spans: soft hyphen, zero width, bidi controls, BOM, tags (U+E0000..).
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_SPACES = re.compile("[ \t\u00a0\u1680\u2000-\u200a\u202f\u205f]+")
_BREAKS = re.compile("\r\n|[\r\u000b\u000c\u0085\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_HYPHENS = re.compile("[\u2010\u2011]")
# Kangxi radicals and CJK radical forms: PDF fonts often map an ordinary character to its look-alike radical.
_RADICALS = re.compile("[\u2e80-\u2fdf]")
_RADICAL_SUPPLEMENT = dict(
    zip(
        "\u2ea0\u2ec4\u2ec5\u2ec6\u2ec9\u2ecb\u2ecf\u2ed1\u2ed3\u2ed4\u2ed8\u2ed9\u2eda\u2edb\u2edc\u2edd\u2ee2\u2ee5\u2ee6\u2ee8\u2eea\u2eec\u2eee\u2ef0",
        "民西见角贝车邑長长门青韦页风飞食马鱼鸟麦黾齐齿龙",
        strict=True,
    )
)


def clean(text: str) -> str:
    """One block of text: NFC, "\\n" as the only line end, single spaces, no invisible or control characters, no blank ends of lines.

    Words, digits and punctuation stay as they are, full width included: folding is the index's business, quoting is ours.
    """
    if not text.isascii():
        text = _SURROGATES.sub("\ufffd", text)
        text = unicodedata.normalize("NFC", text)
        text = _HYPHENS.sub("-", text)
        text = _RADICALS.sub(_unified, text)
        text = _INVISIBLE.sub("", text)
    text = _BREAKS.sub("\n", text)
    text = _CONTROL.sub("", text)
    text = _SPACES.sub(" ", text)
    return re.sub(" ?\n ?", "\n", text).strip()


def clean_code(text: str) -> str:
    """Like `clean`, but indentation and inner spaces stay."""
    text = _SURROGATES.sub("\ufffd", text)
    text = _CONTROL.sub("", _BREAKS.sub("\n", text).expandtabs(4))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def one_line(text: str) -> str:
    """`clean`, on one line."""
    return " ".join(clean(text).split())


def join_wrapped(lines: list[str]) -> str:
    """Lines of one paragraph as one: no space between Chinese characters, and a word that was hyphenated at a line's end is whole again."""
    out = ""
    for line in (x for x in lines if x):
        if not out:
            out = line
        elif len(out) > 2 and out[-1] == "-" and out[-2].islower() and line[0].islower():
            out = out[:-1] + line
        elif is_cjk(out[-1]) and is_cjk(line[0]):
            out += line
        else:
            out += " " + line
    return out


def is_cjk(character: str) -> bool:
    """Whether the character is Han, kana or their punctuation, which are written without spaces."""
    return (
        "\u2e80" <= character <= "\u9fff"
        or "\uf900" <= character <= "\ufaff"
        or "\uff00" <= character <= "\uffef"
        or "\U00020000" <= character <= "\U0003ffff"
    )


def _unified(match: re.Match[str]) -> str:
    character = match.group()
    return _RADICAL_SUPPLEMENT.get(character) or unicodedata.normalize("NFKC", character)
