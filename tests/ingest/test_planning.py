"""The plan of a run from what is on disk and what was read before."""

from __future__ import annotations

from pathlib import Path

from ingest.discovery import FoundFile
from ingest.file_records import READING, FileRecord
from ingest.planning import Plan, plan

OLD = 10**18  # nanoseconds, long before `seen`
SEEN = 2 * 10**18


def found(path: str, size: int = 5, modified: int = OLD) -> FoundFile:
    return FoundFile("/r", path, Path("/r") / path, size, modified, OLD)


def record(path: str, sha: str, size: int = 5, *, seen: int = SEEN, reading: str = READING) -> FileRecord:
    return FileRecord(("/r", path), size, OLD, OLD, seen, sha, {"": ("d-" + path, "h")}, reading=reading)


def made(
    files: list[FoundFile],
    records: list[FileRecord],
    hashes: dict[str, str],
    *,
    valid: bool = True,
    again: bool = False,
) -> tuple[Plan, list[str]]:
    """The plan, and which files had to be hashed."""
    hashed: list[str] = []

    def digest(file: FoundFile) -> str | None:
        hashed.append(file.path)
        return hashes.get(file.path)

    steps = plan(
        files,
        {r.key: r for r in records},
        covers=lambda k: True,
        exists=lambda k: False,
        digest=digest,
        valid=lambda r: valid,
        again=again,
    )
    return steps, hashed


def test_equal_times_and_size_are_believed_without_hashing() -> None:
    steps, hashed = made([found("a")], [record("a", "1")], {})
    assert [r.key[1] for r in steps.unchanged] == ["a"] and hashed == []


def test_a_file_changed_within_two_seconds_of_being_read_is_hashed() -> None:
    steps, hashed = made([found("a")], [record("a", "1", seen=OLD + 10**9)], {"a": "1"})
    assert [f.path for f, _ in steps.touched] == ["a"] and hashed == ["a"]


def test_another_size_is_read_without_hashing() -> None:
    steps, hashed = made([found("a", size=6)], [record("a", "1")], {})
    assert [f.path for f in steps.read] == ["a"] and not steps.new and hashed == []


def test_same_size_other_bytes_is_read() -> None:
    steps, _ = made([found("a", modified=OLD + 1)], [record("a", "1")], {"a": "2"})
    assert [f.path for f in steps.read] == ["a"]


def test_a_record_that_the_collection_contradicts_is_read_again() -> None:
    assert [f.path for f in made([found("a")], [record("a", "1")], {}, valid=False)[0].read] == ["a"]
    assert [f.path for f in made([found("a")], [record("a", "1")], {}, again=True)[0].read] == ["a"]


def test_a_move_is_a_new_name_for_vanished_bytes() -> None:
    steps, _ = made([found("b"), found("c")], [record("a", "1")], {"b": "1", "c": "2"})
    assert [(r.key[1], f.path) for r, f in steps.moved] == [("a", "b")]
    assert [f.path for f in steps.read] == ["c"] and steps.gone == ()


def test_a_copy_is_not_a_move() -> None:
    steps, _ = made([found("a"), found("b")], [record("a", "1")], {"a": "1", "b": "1"})
    assert steps.moved == () and [f.path for f in steps.read] == ["b"]


def test_of_two_vanished_copies_the_one_of_the_same_name_moved() -> None:
    steps, _ = made([found("new/y")], [record("x", "1"), record("y", "1")], {"new/y": "1"})
    assert [(r.key[1], f.path) for r, f in steps.moved] == [("y", "new/y")] and [r.key[1] for r in steps.gone] == ["x"]
