"""HTML by lxml: visible text in order, headings, lists and tables as blocks; scripts, styles, menus and hidden parts left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree
from lxml import html as lxml_html

from ingest.encodings import decode
from ingest.parsed import Parsed, Skip, Source, TextBuilder, Unreadable

_DROPPED = frozenset(
    {
        "script",
        "style",
        "template",
        "noscript",
        "head",
        "iframe",
        "object",
        "svg",
        "math",
        "select",
        "button",
        "nav",
        "canvas",
        "audio",
        "video",
    }
)
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "center",
        "dd",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "header",
        "hr",
        "html",
        "legend",
        "main",
        "p",
        "section",
        "summary",
        "tr",
        "td",
        "th",
        "caption",
        "tbody",
        "thead",
        "tfoot",
    ]
)


def read(source: Source) -> Iterator[Parsed]:
    """One document. Title: <title>, else the first heading, else the file's name. Raises Unreadable when nesting is absurd."""
    text = decode(source.bytes())
    builder = TextBuilder(source.limits)
    facts = add_html(builder, text)
    if not builder.length:
        raise Skip("no text in it")
    title = facts.pop("title") or facts.pop("heading") or source.name.rsplit(".", 1)[0]
    yield builder.build("html", title, date=facts.get("date"), author=facts.get("author"))


def add_html(builder: TextBuilder, text: str) -> dict[str, str | None]:
    """Adds the blocks of an HTML text; gives its title, first heading, date and author where it states them."""
    text = re.sub(r"<\?xml[^>]{0,200}\?>", "", text, count=1)
    parser = lxml_html.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=False
    )
    try:
        tree = lxml_html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as e:
        if "empty" in str(e).lower():
            return {"title": None, "heading": None, "date": None, "author": None}
        raise Unreadable(f"not readable as HTML ({str(e)[:120]})") from e
    walker = _Walker(builder)
    walker.walk(tree)
    return {
        "title": _first(tree, "//head/title/text()"),
        "heading": walker.heading,
        "date": _first(
            tree, "//meta[@name='date' or @property='article:published_time' or @name='dcterms.date']/@content"
        )
        or _first(tree, "//time/@datetime"),
        "author": _first(tree, "//meta[@name='author']/@content"),
    }


class _Walker:
    """Walks the tree without recursion: a page may be nested thousands deep."""

    def __init__(self, builder: TextBuilder) -> None:
        self.builder = builder
        self.heading: str | None = None
        self._inline: list[str] = []
        self._items: list[str] = []

    def walk(self, tree: Any) -> None:
        stack: list[tuple[Any, bool]] = [(tree, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                self._leave(node)
                self._add(node.tail)
                continue
            if not isinstance(node.tag, str) or node.tag in _DROPPED or _hidden(node):
                self._add(node.tail)
                continue
            if len(stack) > 4_000_000:
                raise Unreadable("too many elements")
            if self._enter(node):
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(node))
            else:
                self._add(node.tail)
        self._flush()
        self._flush_list()

    def _enter(self, node: Any) -> bool:
        """Handles the opening of an element; False when it has been dealt with whole."""
        tag = node.tag
        if re.fullmatch("h[1-6]", tag):
            self._flush()
            self._flush_list()
            text = " ".join(_text(node).split())
            if text:
                self.builder.heading(text, int(tag[1]))
                self.heading = self.heading or text
            return False
        if tag == "table" and _is_data_table(node):
            self._flush()
            self._flush_list()
            self.builder.table(_rows(node))
            return False
        if tag == "pre":
            self._flush()
            self._flush_list()
            self.builder.block("code", "".join(node.itertext()))
            return False
        if tag == "br":
            self._inline.append("\n")
        elif tag == "img" and node.get("alt"):
            self._inline.append(" " + node.get("alt") + " ")
        elif tag in ("ul", "ol"):
            self._flush()
            if node.getparent() is None or node.getparent().tag != "li":
                self._flush_list()
        elif tag == "li":
            self._flush()
        elif tag in _BLOCKS and not self._in_item(node):
            self._flush()
            self._flush_list()
        self._add(node.text)
        return True

    def _add(self, text: str | None) -> None:
        """Text as HTML means it: its line ends are spaces. Only <br> breaks a line."""
        if text:
            self._inline.append(text.replace("\n", " ").replace("\r", " "))

    def _leave(self, node: Any) -> None:
        if node.tag == "li":
            self._flush(item=True)
        elif node.tag in ("ul", "ol"):
            self._flush(item=True)
            if node.getparent() is None or node.getparent().tag != "li":
                self._flush_list()
        elif node.tag in _BLOCKS:
            if self._in_item(node):
                self._inline.append(" ")
            else:
                self._flush()

    @staticmethod
    def _in_item(node: Any) -> bool:
        parent, steps = node.getparent(), 0
        while parent is not None and steps < 6:
            if parent.tag == "li":
                return True
            parent, steps = parent.getparent(), steps + 1
        return False

    def _flush(self, *, item: bool = False) -> None:
        raw = "".join(self._inline)
        self._inline.clear()
        text = "\n".join(x for x in (" ".join(line.split()) for line in raw.split("\n")) if x)
        if not text:
            return
        if item or self._items:
            self._items.append("- " + " ".join(text.split()))
        else:
            self.builder.block("paragraph", text)

    def _flush_list(self) -> None:
        if self._items:
            self.builder.block("list", "\n".join(self._items))
            self._items.clear()


def _text(node: Any) -> str:
    return "".join(node.itertext())


def _hidden(node: Any) -> bool:
    style = (node.get("style") or "").replace(" ", "").lower()
    return (
        node.get("hidden") is not None
        or node.get("aria-hidden") == "true"
        or "display:none" in style
        or "visibility:hidden" in style
    )


def _is_data_table(node: Any) -> bool:
    """Layout tables hold other tables or whole articles; data tables have at least two columns and short cells."""
    if node.find(".//table") is not None:
        return False
    rows = node.findall(".//tr")
    return bool(rows) and max((len(r.findall("td")) + len(r.findall("th")) for r in rows), default=0) >= 2


def _rows(node: Any) -> list[list[str]]:
    rows = []
    for tr in node.iter("tr"):
        cells: list[str] = []
        for cell in tr:
            if cell.tag not in ("td", "th"):
                continue
            cells.append(_text(cell))
            span = cell.get("colspan", "1")
            cells.extend("" for _ in range(min(int(span) if span.isdigit() else 1, 50) - 1))
        rows.append(cells)
    return rows


def _first(tree: Any, path: str) -> str | None:
    found = tree.xpath(path)
    return " ".join(str(found[0]).split())[:300] or None if found else None
