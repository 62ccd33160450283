"""Is everything in a collection what was committed, and does it agree with itself?"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rag.errors import CorruptCollection, StorageFailed
from rag.storage import sealed, state
from rag.storage.card import Card
from rag.storage.database import Database, connect
from rag.storage.files import TEMPORARY, sha256_of
from rag.storage.layout import COLLECTIONS, HEAD, SEGMENTS, UPLOADS
from rag.storage.segments import Segment, check_file, open_segment

_UNCHECKED = ("-wal", "-shm", "-journal", ".lock", ".log", TEMPORARY)


def problems(folder: Path, db: Database, card: Card) -> list[str]:
    """One line for each thing that is wrong; empty when sound. Reads every byte."""
    found = db.problems()
    if found:
        return found
    try:
        marked = sealed.read(folder / HEAD)["counter"]
        behind = int(db.value("SELECT value FROM meta WHERE key = 'counter'")) - marked
        if not 0 <= behind <= 1:
            found.append(f"{HEAD}: it is {behind} commits behind the database, so it is an old copy; restore a backup")
    except (CorruptCollection, OSError) as e:
        found.append(str(e))
    with db.reading():
        segments: list[Segment] = []
        for row in state.segment_rows(db):
            try:
                for file in row.files:
                    check_file(folder / SEGMENTS, file)
                segments.append(open_segment(folder / SEGMENTS, row))
            except CorruptCollection as e:
                found.append(str(e))
        if not found:
            found += _disagreements(db, card, segments)
    return found


def strangers(home: Path) -> list[str]:
    """What is wrong with the files of a home that lie beside its collections: databases, sealed files, uploads."""
    found: list[str] = []
    for path in sorted(home.rglob("*")) if home.is_dir() else ():
        inside = path.relative_to(home).parts
        if not path.is_file() or inside[0] == COLLECTIONS or path.name.endswith(_UNCHECKED):
            continue
        try:
            if path.suffix in (".sqlite", ".db"):
                with connect(path, create=False) as db:
                    found += db.problems()
            elif path.suffix == ".json":
                sealed.read(path)
            elif inside[0] == UPLOADS and sha256_of(path) != path.name.split(".")[0]:
                found.append(f"{path}: damaged, its digest does not match its name; upload it again")
        except (CorruptCollection, StorageFailed) as e:
            found.append(str(e))
        except FileNotFoundError:  # it was of a process that has just ended
            continue
    return found


def _disagreements(db: Database, card: Card, segments: list[Segment]) -> Iterator[str]:
    """Rows, keyword index and vectors must hold the same chunks, and each document must live once."""
    rows = np.array(db.rows("SELECT id, version FROM chunks ORDER BY id") or np.empty((0, 2)), np.int64)
    ids = np.concatenate([s.ids for s in segments]) if segments else np.empty(0, np.int64)
    versions = np.concatenate([s.versions for s in segments]) if segments else np.empty(0, np.int32)
    if not np.array_equal(ids, rows[:, 0]):
        yield f"{len(ids)} chunks are indexed and {len(rows)} have rows; they are not the same ones"
    elif not np.array_equal(versions, rows[:, 1]):
        yield "the index and the rows disagree about which document version a chunk belongs to"
    for segment in segments:
        for name, index in segment.fields.items():
            if name not in card.names:
                yield f"{segment.row.name}: vectors of a field {name!r} that the card does not have"
            elif index.dim != card.field(name).dim:
                yield f"{segment.row.name}: field {name} has {index.dim} dimensions where {card.field(name).dim} belong"
    for document, count in db.rows(
        "SELECT v.document, count(*) FROM lives l JOIN versions v ON v.version = l.version WHERE l.removed IS NULL"
        " GROUP BY v.document HAVING count(*) > 1"
    ):
        yield f"document {document}: {count} versions of it are alive"
    for version, said, actual in db.rows(
        "SELECT v.version, v.chunks, count(c.id) FROM versions v LEFT JOIN chunks c ON c.version = v.version"
        " GROUP BY v.version HAVING v.chunks <> count(c.id)"
    ):
        yield f"document version {version}: {actual} chunks where {said} belong"
    for version in _wrong_spans(db):
        yield f"document version {version}: a chunk is not the part of the text that it says it is"


def _wrong_spans(db: Database) -> Iterator[int]:
    versions = [v for (v,) in db.rows("SELECT version FROM versions ORDER BY version")]
    for version in versions:
        text = db.value("SELECT text FROM texts WHERE version = ?", (version,))
        whole = zlib.decompress(text).decode("utf-8", "surrogatepass") if text is not None else ""
        spans = db.rows("SELECT start, stop, text FROM chunks WHERE version = ?", (version,))
        if any(whole[start:stop] != part for start, stop, part in spans):
            yield version
