"""Which reader reads what: suffix and first bytes to a module of `ingest.readers`. Runs in the sandboxed process only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import PurePosixPath
from typing import BinaryIO

from ingest.parsed import Limits, Parsed, Skip, Source, Unread, Unreadable

READERS: dict[str, str] = {
    **dict.fromkeys((".md", ".markdown", ".mdx", ".mkd"), "markdown"),
    **dict.fromkeys((".txt", ".text", ".log", ".rst", ".adoc", ".org", ".tex", ".srt", ".vtt"), "text"),
    **dict.fromkeys((".html", ".htm", ".xhtml", ".xml"), "html"),
    ".pdf": "pdf",
    **dict.fromkeys((".docx", ".docm", ".dotx"), "docx"),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx"), "pptx"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xltx"), "xlsx"),
    **dict.fromkeys((".csv", ".tsv", ".tab"), "csv"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson", ".geojson"), "json"),
    ".eml": "mail",
    ".mbox": "mail",
    ".epub": "epub",
    ".zip": "archive",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif"), "image"),
    **dict.fromkeys(
        [
            ".py",
            ".pyi",
            ".js",
            ".mjs",
            ".ts",
            ".tsx",
            ".jsx",
            ".java",
            ".kt",
            ".scala",
            ".go",
            ".rs",
            ".c",
            ".h",
            ".cc",
            ".cpp",
            ".hpp",
            ".cs",
            ".rb",
            ".php",
            ".swift",
            ".m",
            ".r",
            ".jl",
            ".lua",
            ".pl",
            ".sh",
            ".bash",
            ".ps1",
            ".bat",
            ".sql",
            ".yaml",
            ".yml",
            ".toml",
            ".ini",
            ".cfg",
            ".conf",
            ".css",
            ".scss",
            ".xsd",
            ".proto",
            ".graphql",
            ".vue",
            ".dart",
            ".ex",
            ".erl",
            ".hs",
            ".clj",
            ".make",
            ".cmake",
            ".dockerfile",
            ".tf",
        ],
        "code",
    ),
}
# Old and foreign formats: named, so that the reason tells what to do.
_REFUSED = {
    **dict.fromkeys((".doc", ".dot", ".wps"), "an old binary Word file; save it as docx"),
    **dict.fromkeys((".xls", ".et"), "an old binary Excel file; save it as xlsx"),
    **dict.fromkeys((".ppt", ".dps"), "an old binary PowerPoint file; save it as pptx"),
    **dict.fromkeys(
        (".rtf", ".odt", ".ods", ".odp", ".pages", ".numbers", ".key"),
        "a format that is not read; save it as docx, xlsx, pptx or PDF",
    ),
    **dict.fromkeys(
        (".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".iso"),
        "an archive format that is not read; unpack it or use zip",
    ),
    ".msg": "an Outlook message; save it as eml",
}
_NAMES = {
    "makefile": "code",
    "dockerfile": "code",
    "readme": "text",
    "license": "text",
    "notice": "text",
    "changelog": "text",
    "authors": "text",
}
_MAGIC = (
    (b"%PDF-", "pdf"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"II*\0", "image"),
    (b"MM\0*", "image"),
)


@dataclass
class Reading:
    """One file being read, its members included: counts what it has cost so far."""

    limits: Limits
    ocr: str = "auto"
    _entries: int = 0
    _bytes: int = 0
    _characters: int = 0
    _depth: int = field(default=0)

    def read(self, name: str, file: BinaryIO, size: int, prefix: str = "") -> Iterator[Parsed | Unread]:
        """Every document in the file and, for what gave none, the reason. Never raises for bad content, save MemoryError."""
        if size > self.limits.bytes:
            yield Unread(prefix, f"{size >> 20:,} MiB, more than the {self.limits.bytes >> 20:,} allowed")
            return
        try:
            if size == 0:
                raise Skip("empty file")
            reader = import_module(f"ingest.readers.{choose(name, file)}")
            source = Source(name, file, size, self.limits, self.ocr, lambda n, f, s: self._member(prefix, n, f, s))
            for found in reader.read(source):
                if isinstance(found, Parsed):
                    self._characters += len(found.text)
                    if self._characters > self.limits.characters:
                        raise Unreadable(f"more than {self.limits.characters:,} characters of text in it")
                    if not found.member:  # members of members come back with their full path already
                        found = replace(found, member=prefix)
                yield found
        except Skip as e:
            yield Unread(prefix, str(e), skipped=True)
        except Unreadable as e:
            yield Unread(prefix, str(e))
        except RecursionError:
            yield Unread(prefix, "nested too deeply")

    def _member(self, prefix: str, name: str, file: BinaryIO, size: int) -> Iterator[Parsed | Unread]:
        member = f"{prefix}!/{name}" if prefix else name
        self._entries += 1
        self._bytes += size
        if self._entries > self.limits.entries:
            raise Unreadable(f"more than {self.limits.entries:,} files in it")
        if self._bytes > self.limits.bytes:
            raise Unreadable(f"unpacks to more than {self.limits.bytes >> 20:,} MiB")
        if self._depth >= self.limits.depth:
            yield Unread(member, f"archives nested more than {self.limits.depth} deep")
            return
        self._depth += 1
        try:
            yield from self.read(PurePosixPath(name).name, file, size, member)
        finally:
            self._depth -= 1


def choose(name: str, file: BinaryIO) -> str:
    """The reader's name. What the first bytes say goes before the suffix where they are beyond doubt.

    Raises Unreadable for formats we know and do not read, Skip for what is no document.
    """
    file.seek(0)
    head = file.read(4096)
    file.seek(0)
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _REFUSED:
        raise Unreadable(_REFUSED[suffix])
    by_suffix = READERS.get(suffix) or (_NAMES.get(name.lower()) if not suffix else None)
    by_magic = next((reader for magic, reader in _MAGIC if head.startswith(magic)), None)
    if by_suffix == "pdf" and b"%PDF-" not in head[:1024]:
        raise Unreadable("not a PDF: it does not begin like one")
    if by_magic and by_suffix in (None, "text", "markdown", "csv", "json", "html"):
        return by_magic
    if by_suffix:
        return by_suffix
    if re.match(rb"\s*(<!doctype html|<html)", head[:512], re.IGNORECASE):
        return "html"
    if _is_text(head):
        return "text"
    raise Skip(f"not a known document type ({suffix or 'no suffix'})")


def _is_text(head: bytes) -> bool:
    if not head or b"\0" in head:
        return False
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as e:
        if e.start < len(head) - 4:
            return False
        text = head[: e.start].decode("utf-8")
    return sum(c < " " and c not in "\t\n\r\f\x1b" for c in text) == 0
