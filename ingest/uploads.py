"""Files that come over HTTP: kept in the home under the SHA-256 of their content, read like any other, never removed by `--prune`."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path, PurePosixPath
from uuid import uuid4

from ingest.cleaning import one_line
from ingest.discovery import FoundFile
from ingest.file_records import FileRecords
from ingest.indexing import IngestOptions, ingest_files
from ingest.progress import Progress
from rag.errors import StorageFailed, UsageError
from rag.storage.layout import UPLOADS
from rag.types import Document, IngestReport
from rag.wiring import Services

ROOT = "upload"
Told = Callable[[str, int, int], None]  # stage, done, total


def ingest_upload(
    name: str, data: bytes, services: Services, groups: frozenset[str] | None = None, progress: Told | None = None
) -> IngestReport:
    """Takes a file in under its name; one of the same name is replaced. `groups` None keeps those of a known one, a new one is public.

    What `progress` raises ends the run and comes through. Raises UsageError for a name that is none, CollectionLocked, StorageFailed.
    """
    name = safe_name(name)
    stored = _store(data, PurePosixPath(name).suffix.lower(), Path(services.settings.home))
    facts = stored.stat()
    file = FoundFile(ROOT, name, stored, len(data), facts.st_mtime_ns, facts.st_ctime_ns)
    return ingest_files([file], services, IngestOptions(groups=groups), _Stages(progress) if progress else None)


def original(document: Document, services: Services) -> Path | None:
    """The file that a document was read from, where it is still there as itself (not inside an archive or mail)."""
    if "!/" in document.path:
        return None
    if document.root == ROOT:
        record = FileRecords.one(services.collection(), (ROOT, document.path))
        path = record and Path(services.settings.home) / UPLOADS / _stored_name(
            record.sha256, PurePosixPath(document.path).suffix.lower()
        )
    else:
        path = Path(document.root) / document.path if document.root.startswith("/") else None
    return path if path and path.is_file() and not path.is_symlink() else None


def safe_name(name: str) -> str:
    """The last part of a name, on one line, at most 200 characters. Raises UsageError when nothing is left."""
    last = one_line(name.replace("\\", "/").rsplit("/", 1)[-1])
    stem, dot, suffix = last.rpartition(".")
    safe = f"{stem[: 190 - len(suffix)]}{dot}{suffix}" if len(suffix) < 20 else last[:200]
    if not safe.strip(". "):
        raise UsageError(f"{name!r}: not a file name; send the file with its name and suffix")
    return safe


def _store(data: bytes, suffix: str, home: Path) -> Path:
    folder = home / UPLOADS
    path = folder / _stored_name(sha256(data).hexdigest(), suffix)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.read_bytes() == data:
            return path
        temporary = folder / f".{uuid4().hex}.tmp"
        with temporary.open("xb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as e:
        raise StorageFailed(
            f"{path}: the upload could not be kept ({e.strerror}); free some space and send it again"
        ) from e
    return path


def _stored_name(digest: str, suffix: str) -> str:
    return digest + (suffix if suffix[1:].isalnum() and len(suffix) <= 12 else "")


class _Stages(Progress):
    """Tells the stages of one upload."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._embedded = 0

    def start(self, files: int) -> None:
        self._told("reading", 0, files)

    def file(self, path: str, pages: int) -> None:
        self._told("read", pages, pages)

    def embedding(self, total: int) -> None:
        self._embedded = 0
        self._told("embedding", 0, total)

    def chunks(self, count: int, total: int) -> None:
        self._embedded += count
        self._told("embedding", self._embedded, total)
