"""Files on disk against what was read before -> what to do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ingest.discovery import FoundFile
from ingest.file_records import FileKey, FileRecord


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run has to do."""

    read: tuple[FoundFile, ...] = ()  # new or changed
    new: frozenset[FileKey] = frozenset()  # those of `read` that were never read before
    unchanged: tuple[FileRecord, ...] = ()
    touched: tuple[tuple[FoundFile, FileRecord], ...] = ()  # same bytes, other times: only the record changes
    moved: tuple[tuple[FileRecord, FoundFile], ...] = ()
    gone: tuple[FileRecord, ...] = ()  # below the paths of this run, not on disk any more


def plan(
    found: Sequence[FoundFile],
    records: Mapping[FileKey, FileRecord],
    *,
    covers: Callable[[FileKey], bool],
    exists: Callable[[FileKey], bool],
    digest: Callable[[FoundFile], str | None],
    valid: Callable[[FileRecord], bool],
    again: bool = False,
) -> Plan:
    """The plan of a run.

    `covers` = the file lies below a path of this run; `exists` = it is on disk; `digest` = SHA-256 of a file's bytes, None when it
    cannot be opened; `valid` = the documents of a record are in the collection as it says. `again` = read everything.
    """
    read: list[FoundFile] = []
    new: list[FoundFile] = []
    unchanged: list[FileRecord] = []
    touched: list[tuple[FoundFile, FileRecord]] = []
    on_disk = {(f.root, f.path) for f in found}
    for file in found:
        record = records.get((file.root, file.path))
        if record is None:
            new.append(file)
        elif again or not valid(record):
            read.append(file)
        elif record.same_times(file):
            unchanged.append(record)
        elif file.size == record.size and digest(file) == record.sha256:
            touched.append((file, record))
        else:
            read.append(file)
    gone = {k: r for k, r in records.items() if covers(k) and k not in on_disk}
    moved, added = _moves(
        new, [r for k, r in records.items() if k not in on_disk and (k in gone or not exists(k))], digest, valid
    )
    left = {r.key for r, _ in moved}
    order = {(f.root, f.path): n for n, f in enumerate(found)}
    return Plan(
        tuple(sorted([*read, *added], key=lambda f: order[f.root, f.path])),
        frozenset((f.root, f.path) for f in added),
        tuple(unchanged),
        tuple(touched),
        tuple(moved),
        tuple(r for k, r in gone.items() if k not in left),
    )


def _moves(
    new: Iterable[FoundFile],
    vanished: Collection[FileRecord],
    digest: Callable[[FoundFile], str | None],
    valid: Callable[[FileRecord], bool],
) -> tuple[list[tuple[FileRecord, FoundFile]], list[FoundFile]]:
    """New files that are vanished ones under another name, and the rest. Sizes are compared first, so most new files are never hashed."""
    by_size: dict[int, list[FileRecord]] = {}
    for record in vanished:
        if record.documents and valid(record):
            by_size.setdefault(record.size, []).append(record)
    moved: list[tuple[FileRecord, FoundFile]] = []
    added: list[FoundFile] = []
    for file in new:
        candidates = by_size.get(file.size, [])
        content = digest(file) if candidates else None
        same = [r for r in candidates if r.sha256 == content]
        if not same:
            added.append(file)
            continue
        # Of several copies that vanished at once, the one with the same name.
        best = max(
            same,
            key=lambda r: (r.key[1].rsplit("/", 1)[-1] == file.path.rsplit("/", 1)[-1], r.key[0] == file.root, r.key),
        )
        candidates.remove(best)
        moved.append((best, file))
    return moved, added
