"""What a reader found -> a document of the collection. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from ingest.discovery import FoundFile
from ingest.identity import content_hash, document_id
from ingest.parsed import Parsed
from ingest.sandbox import FileResult
from rag.index.language import detect
from rag.types import Document

_NAME_DATE = re.compile(
    r"(?<!\d)((?:19|20)\d{2})(?:[-_.年](0?[1-9]|1[0-2])(?:[-_.月](0?[1-9]|[12]\d|3[01]))?|(0[1-9]|1[0-2])([0-2]\d|3[01]))?(?!\d)"
)


def member_path(path: str, member: str) -> str:
    """Path of a document: the file's, and for a member "archive.zip!/inner.md"."""
    return f"{path}!/{member}" if member else path


def to_document(parsed: Parsed, root: str, path: str, groups: frozenset[str], fallback_date: str | None) -> Document:
    """The document. Its date is the one it states, else the one in its name, else `fallback_date` (of the file, or of the mail it came with)."""
    where = member_path(path, parsed.member)
    return Document(
        id=document_id(root, where),
        title=parsed.title or where.rsplit("/", 1)[-1],
        text=parsed.text,
        path=where,
        root=root,
        content_hash=content_hash(parsed),
        pages=parsed.pages,
        blocks=parsed.blocks,
        groups=groups,
        language=detect(parsed.text[:20_000]),
        type=parsed.type,
        date=stated_date(parsed, where) or fallback_date,
        author=parsed.author,
    )


def stated_date(parsed: Parsed, path: str) -> str | None:
    """ISO date that the document or its name gives, None when neither does."""
    return iso_date(parsed.date) or name_date(path)


def file_date(file: FoundFile) -> str:
    """Day of the last change, UTC."""
    return datetime.fromtimestamp(min(max(file.modified / 1e9, 0), 32_503_680_000), UTC).date().isoformat()


def container_date(result: FileResult) -> str | None:
    """The date of the mail that its attachments came with."""
    return next((iso_date(d.date) for d in result.documents if not d.member), None)


def iso_date(text: str | None) -> str | None:
    """YYYY-MM-DD of a date as people and programs write it; a year or month alone is its first day. None for what is no date."""
    if not text:
        return None
    if m := re.match(r"D?:?\s*((?:19|20)\d{2})(\d{2})(\d{2})", text):
        return _checked(*m.groups())
    if m := re.search(r"((?:19|20)\d{2})\s*[-/.年]\s*(\d{1,2})(?:\s*[-/.月]\s*(\d{1,2}))?", text):
        return _checked(m[1], m[2], m[3] or "1")
    if m := re.fullmatch(r"\s*((?:19|20)\d{2})\s*年?\s*", text):
        return _checked(m[1], "1", "1")
    for form in ("%d %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y"):
        try:
            return datetime.strptime(text.strip(), form).date().isoformat()
        except ValueError:
            continue
    return None


def name_date(path: str) -> str | None:
    """The last date in a file name: 2026-03-14, 20260314, 2026-03, 2026."""
    found = None
    for m in _NAME_DATE.finditer(path.rsplit("/", 1)[-1]):
        found = _checked(m[1], m[2] or m[4] or "1", m[3] or m[5] or "1") or found
    return found


def _checked(year: str, month: str, day: str) -> str | None:
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None
