"""Names and fingerprints of documents. Pure."""

from __future__ import annotations

import json
import os
from hashlib import sha256

from ingest.parsed import Parsed


def document_id(root: str, path: str) -> str:
    """20 hex digits that stay the same as long as root and path do."""
    return sha256(f"{root}\0{path}".encode("utf-8", "surrogateescape")).hexdigest()[:20]


def content_hash(parsed: Parsed) -> str:
    """SHA-256 hex of what was read: title, text and structure. Equal means unchanged, wherever the file lies."""
    structure = [[b.kind, *b.span, b.level] for b in parsed.blocks]
    pages = [[p.number, *p.span, p.text_score, p.ocr] for p in parsed.pages]
    facts = json.dumps([parsed.type, parsed.title, parsed.author, parsed.date, structure, pages], ensure_ascii=False)
    return sha256(f"{facts}\0{parsed.text}".encode()).hexdigest()


def printable(path: str) -> str:
    """A path that can be stored as UTF-8: bytes that are no UTF-8 become \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
