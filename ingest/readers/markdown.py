"""Markdown by markdown-it: front matter, headings, lists, tables and code as blocks; inline marks are taken off, words stay."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.encodings import decode
from ingest.parsed import Parsed, Skip, Source, TextBuilder

_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_FIELD = re.compile(r"^([A-Za-z_\u4e00-\u9fff][\w -]{0,40})\s*[:：]\s*(.*)$")
_TITLES, _DATES, _AUTHORS = (
    ("title", "标题"),
    ("date", "updated", "日期", "发布日期"),
    ("author", "authors", "owner", "作者"),
)
_TAG = re.compile(r"<[^>]{0,2000}>")
_ELEMENT = re.compile(r"</?[A-Za-z][^<>]{0,200}>")  # in a title, where a "<" may be one
# What site generators fill in, as the target of a link or by itself; what stands in code is the text.
_TEMPLATE = re.compile(
    r"(?P<code>```.*?```|~~~.*?~~~|`[^`\n]*`)"
    r"|(?P<comment>\{%-?\s*comment\b[^%]{0,100}%\}.{0,20000}?\{%-?\s*endcomment\s*-?%\})"
    r"|(?<=\]\()\s*(?P<target>\{[%{].{1,400}?[%}]\}[^)\s]*)"
    r"|(?P<tag>\{%.{1,400}?%\}|\{\{[<%].{1,400}?[>%]\}\})",
    re.DOTALL,
)
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
# A link, a heading, code or a table: what plain text has by chance only.
_MARKS = re.compile(r"\]\([^\s)]|^#{2,6} \S|\A\s*# \S|^ {0,3}(?:```|~~~)|^\|? ?:?-{3,}:? ?\|", re.MULTILINE)


def read(source: Source) -> Iterator[Parsed]:
    """One document. Title: front matter, else the first heading, else the file's name."""
    text = decode(source.bytes())
    facts, text = front_matter(text)
    builder = TextBuilder(source.limits)
    title = add_markdown(builder, text)
    name = source.name.rsplit(".", 1)[0]
    if not builder.length:  # a page that is only facts: a redirect, a card
        builder.block("list", "\n".join(f"{key}: {value}" for key, value in facts.items() if value))
    if not builder.length:
        raise Skip("empty file")
    pick = lambda names: next((facts[n] for n in names if facts.get(n)), None)  # noqa: E731
    named = _ELEMENT.sub("", pick(_TITLES) or "").strip()
    yield builder.build("markdown", named or title or name, date=pick(_DATES), author=pick(_AUTHORS))


def front_matter(text: str) -> tuple[dict[str, str], str]:
    """The simple "key: value" fields between "---" lines at the start, keys in lower case, and the text after them."""
    found = _FRONT.match(text)
    if not found:
        return {}, text
    fields = {}
    for line in found.group(1).splitlines():
        if field := _FIELD.match(line):
            fields[field.group(1).strip().lower()] = field.group(2).strip().strip("\"'")
    return fields, text[found.end() :]


def is_markdown(text: str) -> bool:
    """Whether a text without a file name is written in Markdown."""
    return _MARKS.search(text) is not None


def add_markdown(builder: TextBuilder, text: str) -> str:
    """Adds the blocks of Markdown text; gives the first heading, "" when there is none."""
    text = _TEMPLATE.sub(_words_of, text.replace("\0", "\ufffd"))
    tokens = MarkdownIt("commonmark", {"maxNesting": 60}).enable("table").parse(text)
    title = ""
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.type == "heading_open":
            heading = inline_text(tokens[at + 1])
            builder.heading(heading, int(token.tag[1:]))
            title = title or " ".join(heading.split())
            at += 3
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            end = _closing(tokens, at)
            _add_list(builder, tokens[at : end + 1])
            at = end + 1
        elif token.type == "table_open":
            end = _closing(tokens, at)
            builder.table(_rows(tokens[at:end]))
            at = end + 1
        elif token.type in ("fence", "code_block"):
            builder.block("code", token.content)
            at += 1
        elif token.type == "html_block":
            _add_html(builder, token.content)
            at += 1
        else:
            if token.type == "inline":
                builder.block("paragraph", inline_text(token))
            at += 1
    return title


def _words_of(found: re.Match[str]) -> str:
    """What a reader of the page sees of a template tag, as far as the tag tells: {% note "Since May" %}, not {% page "/travel/" %}. A link to a page
    that is filled in is none for a Markdown parser, which would leave the address among the words."""
    if found["code"]:
        return found["code"]
    if found["target"]:
        return "#"
    if found["comment"]:
        return ""
    quoted = [a or b for a, b in _QUOTED.findall(found["tag"])]
    return " ".join(q for q in quoted if " " in q or not re.search(r"[/.]", q))


def inline_text(token: Token) -> str:
    """The words of an inline token: emphasis, links and images reduced to their text."""
    parts = []
    for child in token.children or []:
        if child.type in ("text", "code_inline", "text_special"):
            parts.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            parts.append("\n" if child.type == "hardbreak" else " ")
        elif child.type == "image":
            parts.append(child.content)
        elif child.type == "html_inline" and re.match(r"<br\s*/?>", child.content, re.IGNORECASE):
            parts.append("\n")
    return "".join(parts)


def _add_list(builder: TextBuilder, tokens: list[Token]) -> None:
    """A list as one block, one line an item, nested items indented by marks only; code and tables inside stand for themselves."""
    lines: list[str] = []
    depth, number, mark = 0, [], ""

    def flush() -> None:
        if lines:
            builder.block("list", "\n".join(lines))
            lines.clear()

    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.type in ("bullet_list_open", "ordered_list_open"):
            depth += 1
            number.append(int(token.attrGet("start") or 1) if token.type.startswith("ordered") else 0)
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            depth -= 1
            number.pop()
        elif token.type == "list_item_open":
            mark = f"{number[-1]}. " if number[-1] else "- "
            number[-1] += bool(number[-1])
        elif token.type == "inline":
            text = " ".join(inline_text(token).split())
            if text:
                lines.append(mark + text if mark else text)
                mark = ""
        elif token.type in ("fence", "code_block"):
            flush()
            builder.block("code", token.content)
        elif token.type == "table_open":
            end = _closing(tokens, at)
            flush()
            builder.table(_rows(tokens[at:end]))
            at = end
        elif token.type == "html_block":
            lines.extend(x for x in [" ".join(_TAG.sub(" ", token.content).split())] if x)
        at += 1
    flush()


def _rows(tokens: list[Token]) -> list[list[str]]:
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append(inline_text(token))
    return rows


def _add_html(builder: TextBuilder, html: str) -> None:
    from ingest.readers.html import add_html

    if _TAG.sub("", html).strip():
        add_html(builder, html)


def _closing(tokens: list[Token], at: int) -> int:
    """Index of the token that closes the one at `at`."""
    level = tokens[at].level
    kind = tokens[at].type.replace("_open", "_close")
    return next(
        (i for i in range(at + 1, len(tokens)) if tokens[i].type == kind and tokens[i].level == level), len(tokens) - 1
    )
