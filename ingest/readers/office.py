"""What the Office formats share: a zip package that is checked before anything is unpacked."""

from __future__ import annotations

from datetime import datetime
from typing import BinaryIO

from ingest.packages import open_zip
from ingest.parsed import Source, Unreadable

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def checked_package(source: Source) -> BinaryIO:
    """The file, at 0, after its declared sizes were checked. Raises Unreadable for bombs, encrypted files and old binary formats."""
    source.file.seek(0)
    head = source.file.read(8)
    if head == _OLE:
        source.file.seek(0)
        if "EncryptedPackage".encode("utf-16-le") in source.file.read():
            raise Unreadable("encrypted: it needs a password")
        raise Unreadable("an old binary Office file; save it in the new format (docx, xlsx, pptx)")
    with open_zip(source.file, source.limits) as package:
        if not any(n.filename == "[Content_Types].xml" for n in package.infolist()):
            raise Unreadable("not an Office document: [Content_Types].xml is missing")
    source.file.seek(0)
    return source.file


def core_date(*candidates: datetime | None) -> str | None:
    """The first date there is, as ISO 8601; templates' dates (2013, the default of libraries) do not count."""
    for value in candidates:
        if (
            isinstance(value, datetime)
            and value.year > 1990
            and not (value.year == 2013 and value.month == 12 and value.day == 23)
        ):
            return value.date().isoformat()
    return None
