"""Zip archives: every member by its own reader."""

from __future__ import annotations

import io
from collections.abc import Iterator

from ingest.packages import open_zip, read_entry, safe_name
from ingest.parsed import Parsed, Skip, Source, Unread, Unreadable


def read(source: Source) -> Iterator[Parsed | Unread]:
    """The documents of all members. A bad member is listed and the rest goes on; a bomb is refused whole."""
    assert source.read_member is not None
    left = source.limits.bytes
    with open_zip(source.file, source.limits) as package:
        entries = sorted((e for e in package.infolist() if not e.is_dir()), key=lambda e: e.filename)
        if not entries:
            raise Skip("empty archive")
        for entry in entries:
            try:
                name = safe_name(entry)
                if any(part.startswith((".", "__MACOSX")) for part in name.split("/")):
                    continue
                if (entry.external_attr >> 16) & 0o170000 == 0o120000:
                    raise Unreadable("a symbolic link")
                data = read_entry(package, entry, min(left, entry.file_size))
            except Unreadable as e:
                yield Unread(entry.filename.replace("\x00", ""), str(e))
                continue
            left -= len(data)
            yield from source.read_member(name, io.BytesIO(data), len(data))
