"""What is remembered about each file that was read, so that the next run reads only what changed.

Records are hints, the collection is the truth: a record counts only while the documents that it names are alive with the content that
it names, so a rollback, or a kill between a commit and its records, makes files be read again and nothing worse.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingest.shelf import Shelf

if TYPE_CHECKING:
    from ingest.discovery import FoundFile
    from rag.storage.collection import Collection

FileKey = tuple[str, str]  # root, path
READING = "3"  # version of the readers and of cleaning: another one makes everything be read again
_RACY = 2_000_000_000  # nanoseconds: a file changed this close before it was read may change again within the same time stamp


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file as it was read."""

    key: FileKey
    size: int
    modified: int  # nanoseconds
    changed: int  # nanoseconds
    seen: int  # nanoseconds: when it was read
    sha256: str
    documents: Mapping[str, tuple[str, str]]  # member -> (document id, content hash)
    failed: tuple[tuple[str, str], ...] = ()  # (member, reason)
    skipped: tuple[tuple[str, str], ...] = ()
    reading: str = READING

    @classmethod
    def of(
        cls,
        file: FoundFile,
        digest: str,
        documents: Mapping[str, tuple[str, str]],
        failed: tuple[tuple[str, str], ...],
        skipped: tuple[tuple[str, str], ...],
    ) -> FileRecord:
        """The file as it is now."""
        key = (file.root, file.path)
        return cls(key, file.size, file.modified, file.changed, time.time_ns(), digest, documents, failed, skipped)

    def same_times(self, file: FoundFile) -> bool:
        """Whether size and times say that the file is as it was, beyond doubt."""
        same = (self.size, self.modified, self.changed) == (file.size, file.modified, file.changed)
        return same and max(self.modified, self.changed) < self.seen - _RACY and self.reading == READING

    def to_json(self) -> list[Any]:
        return [*self.key, self.size, self.modified, self.changed, self.seen, self.sha256, {m: list(d) for m, d in self.documents.items()},
                [list(x) for x in self.failed], [list(x) for x in self.skipped], self.reading]  # fmt: skip

    @classmethod
    def from_json(cls, row: list[Any]) -> FileRecord:
        root, path, size, modified, changed, seen, sha256, documents, failed, skipped, reading = row
        return cls(
            (root, path), size, modified, changed, seen, sha256, {m: (d[0], d[1]) for m, d in documents.items()},
            tuple((a, b) for a, b in failed), tuple((a, b) for a, b in skipped), reading,
        )  # fmt: skip


class FileRecords:
    """The records of a collection."""

    def __init__(self, collection: Collection) -> None:
        self._shelf = Shelf(collection, "ingest.files")
        self._records = {r.key: r for r in map(FileRecord.from_json, self._shelf.rows.values())}

    @staticmethod
    def one(collection: Collection, key: FileKey) -> FileRecord | None:
        """The record of one file, read alone; None when there is none."""
        row = Shelf.one(collection, "ingest.files", _name(key))
        return None if row is None else FileRecord.from_json(row)

    @property
    def all(self) -> Mapping[FileKey, FileRecord]:
        return self._records

    def put(self, record: FileRecord) -> None:
        """Remembers a file; `save` makes it last."""
        self._records[record.key] = record
        self._shelf.put(_name(record.key), record.to_json())

    def drop(self, keys: Iterable[FileKey]) -> None:
        """Forgets files."""
        for key in keys:
            self._records.pop(key, None)
            self._shelf.drop([_name(key)])

    def save(self) -> None:
        """Writes what changed. Call it after the commit that it tells of."""
        self._shelf.save()


def _name(key: FileKey) -> str:
    return f"{key[0]}\n{key[1]}"
