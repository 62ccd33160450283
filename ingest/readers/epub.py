"""EPUB books: chapters in the order of the spine, each read as HTML, a page a chapter."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from lxml import etree

from ingest.encodings import decode
from ingest.packages import open_zip, read_entry
from ingest.parsed import Parsed, Source, TextBuilder, Unreadable
from ingest.readers.html import add_html


def read(source: Source) -> Iterator[Parsed]:
    """One document. Raises Unreadable for what is no EPUB or is protected."""
    with open_zip(source.file, source.limits) as package:
        entries = {e.filename: e for e in package.infolist()}
        if "META-INF/encryption.xml" in entries and "META-INF/rights.xml" in entries:
            raise Unreadable("protected by DRM")

        def load(name: str) -> bytes:
            if name not in entries:
                raise Unreadable(f"not a readable book ({name[:80]} is missing)")
            return read_entry(package, entries[name], source.limits.bytes)

        container = parse_xml(load("META-INF/container.xml"))
        root = next((e.get("full-path") for e in container.iter("{*}rootfile")), None)
        if not root:
            raise Unreadable("not a readable book (no package file)")
        book = parse_xml(load(root))
        manifest = {e.get("id"): e.get("href", "") for e in book.iter("{*}item")}
        builder = TextBuilder(source.limits)
        for number, item in enumerate(book.iter("{*}itemref"), 1):
            name = posixpath.normpath(
                posixpath.join(posixpath.dirname(root), unquote(manifest.get(item.get("idref"), "")))
            )
            if name in entries:
                builder.page(number, "chapter")
                add_html(builder, decode(load(name)))
        title = _first(book, "title") or source.name.rsplit(".", 1)[0]
        yield builder.build(
            "epub", title, author=_first(book, "creator"), date=(_first(book, "date") or "")[:10] or None
        )


def parse_xml(data: bytes) -> Any:
    """The root element; entities are not resolved, nothing is fetched. Raises Unreadable for what is no XML."""
    try:
        return etree.fromstring(
            data, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
        )
    except (etree.XMLSyntaxError, ValueError) as e:
        raise Unreadable(f"not readable as XML ({str(e)[:100]})") from e


def _first(book: Any, name: str) -> str | None:
    found = next((e.text for e in book.iter(f"{{http://purl.org/dc/elements/1.1/}}{name}") if e.text), None)
    return " ".join(found.split())[:300] if found else None
