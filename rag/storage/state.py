"""What is alive in one generation and who may see it: arrays over version numbers, read from the database in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.errors import NotFound
from rag.storage.database import Database
from rag.storage.segments import FileRow, SegmentRow

PUBLIC = "public"  # documents of this group are visible to every caller


@dataclass(frozen=True, eq=False)
class State:
    """One generation, with the groups of now."""

    generation: int
    stamp: str  # of what was read: equal stamps, nothing to read anew
    alive: NDArray[np.bool_]  # (highest version + 1,)
    rights: NDArray[np.int32]  # (highest version + 1,) index into group_sets
    group_sets: tuple[frozenset[str], ...]
    documents: Mapping[str, int]  # document id -> its version, alive ones only
    segments: tuple[SegmentRow, ...]  # by first id

    def visible(self, groups: frozenset[str] | None) -> NDArray[np.bool_]:
        """(highest version + 1,) alive and visible to a caller of these groups; None is the operator, no group sees nothing."""
        if groups is None:
            return self.alive
        seen = _seen(groups)
        return self.alive & np.array([bool(g & seen) for g in self.group_sets] or [False])[self.rights]

    def may_see(self, version: int, groups: frozenset[str] | None) -> bool:
        """Whether this one version is alive and visible."""
        if not 0 <= version < len(self.alive) or not self.alive[version]:
            return False
        return groups is None or bool(self.group_sets[self.rights[version]] & _seen(groups))


def _seen(groups: frozenset[str]) -> frozenset[str]:
    return groups | {PUBLIC} if groups else groups


def load(db: Database, generation: int | None = None) -> State:
    """The state of a generation, the newest when not given. Raises NotFound for one that never was or is no longer kept."""
    with db.reading():
        stamp = stamp_of(db)
        newest = int(db.value("SELECT max(generation) FROM generations"))
        oldest = int(db.value("SELECT value FROM meta WHERE key = 'oldest'"))
        if generation is None:
            generation = newest
        check_generation(generation, oldest, newest)
        lives = db.rows(
            "SELECT version FROM lives WHERE added <= ? AND (removed IS NULL OR removed > ?)", (generation, generation)
        )
        versions = db.rows(
            "SELECT v.version, v.document, d.groups FROM versions v JOIN documents d ON d.document = v.document"
        )
        segments = segment_rows(db)
    highest = max((v for v, _, _ in versions), default=0)
    alive = np.zeros(highest + 1, bool)
    alive[np.fromiter((v for (v,) in lives), np.int64, len(lives))] = True
    rights = np.zeros(highest + 1, np.int32)
    numbers: dict[str, int] = {}
    documents: dict[str, int] = {}
    for version, document, groups in versions:
        rights[version] = numbers.setdefault(groups, len(numbers))
        if alive[version]:
            documents[document] = version
    sets = tuple(frozenset(json.loads(text)) for text in numbers)
    return State(generation, stamp, alive, rights, sets, documents, segments)


def stamp_of(db: Database) -> str:
    """Changes with every generation and every compaction, and with nothing else."""
    return str(
        db.value(
            "SELECT (SELECT max(generation) FROM generations) || ' ' || coalesce((SELECT group_concat(name) FROM segments), '')"
        )
    )


def check_generation(generation: int, oldest: int, newest: int) -> None:
    """Raises NotFound unless the generation can be read."""
    if generation > newest or generation < 0:
        raise NotFound(f"generation {generation}: there is no such generation; kept are {oldest} to {newest}")
    if generation < oldest:
        raise NotFound(f"generation {generation}: no longer kept; kept are {oldest} to {newest}")


def segment_rows(db: Database) -> tuple[SegmentRow, ...]:
    """The committed segments, by their first chunk id. One query, so that it is one state also outside a transaction."""
    found: dict[str, tuple[int, int, list[FileRow]]] = {}
    for segment, first, rows, name, kind, size, digest in db.rows(
        "SELECT s.name, s.first, s.rows, f.name, f.kind, f.bytes, f.sha256 FROM segments s JOIN files f ON f.segment = s.name"
        " ORDER BY s.first, f.name"
    ):
        found.setdefault(segment, (first, rows, []))[2].append(FileRow(name, kind, size, digest))
    return tuple(SegmentRow(name, first, rows, tuple(files)) for name, (first, rows, files) in found.items())
