"""Damage is found before it is used; backups come back the same or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rag.errors import CorruptCollection, RagError, StorageFailed, UsageError
from rag.storage import sealed
from rag.storage.backup import restore
from rag.storage.collection import Collection
from rag.storage.database import connect, page_problems
from rag.storage.files import Disk
from rag.storage.home import Home
from tests.rag.storage.stores import found, put

UNCHECKED = ("-shm", "-wal", ".lock")


def flipped(data: bytearray, at: int) -> bytearray:
    data[at] ^= 0x40
    return data


def test_a_flipped_bit_anywhere_in_a_database_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with connect(path) as db:
        db.script("CREATE TABLE t (a, b)")
        db.run_many("INSERT INTO t VALUES (?, ?)", [(i, "x" * 50) for i in range(500)])
        db.run("DELETE FROM t WHERE a > 100")  # free pages, which SQLite itself never looks at
    good = path.read_bytes()
    assert page_problems(path) == []
    for at in range(0, len(good), 97):
        path.write_bytes(flipped(bytearray(good), at))
        assert page_problems(path), at
    path.write_bytes(good)
    with connect(path) as db:
        assert db.problems() == []


@pytest.mark.parametrize("keep", [0, 50, 4096, 10_000])
def test_a_database_that_was_cut_off_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.sqlite"
    with connect(path) as db:
        db.script("CREATE TABLE t (a)")
        db.run_many("INSERT INTO t VALUES (?)", [("x" * 100,) for _ in range(500)])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises((CorruptCollection, StorageFailed)), connect(path, create=False) as db:
        db.rows("SELECT * FROM t")


def test_a_database_without_checksums_is_not_ours(tmp_path: Path) -> None:
    import sqlite3

    plain = sqlite3.connect(tmp_path / "plain.sqlite")
    plain.execute("CREATE TABLE t (a)")
    plain.close()
    with pytest.raises(CorruptCollection, match="no checksums"):
        connect(tmp_path / "plain.sqlite")


@pytest.mark.parametrize("damage", [lambda d: flipped(d, len(d) // 2), lambda d: d[: len(d) * 2 // 3]])
def test_every_file_of_a_home_is_checked(
    store_home: Home, collection: Collection, damage: Callable[[bytearray], bytearray], tmp_path: Path
) -> None:
    put(collection, ("a", "valve one"), ("b", "pump two"))
    collection.close()
    with connect(store_home.folder / "service.sqlite") as db:
        db.script("CREATE TABLE keys (id)")
    sealed.write(Disk(), store_home.folder / "note.json", {"a": 1})
    (store_home.folder / "uploads").mkdir()
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    (store_home.folder / "uploads" / f"{digest}.txt").write_bytes(b"hello")
    assert store_home.verify() == []
    files = [p for p in store_home.folder.rglob("*") if p.is_file() and not p.name.endswith(UNCHECKED)]
    assert len(files) == 7
    for path in files:
        copy = tmp_path / "copy"
        shutil.copytree(store_home.folder, copy)
        hurt = copy / path.relative_to(store_home.folder)
        hurt.write_bytes(damage(bytearray(hurt.read_bytes())) if hurt.stat().st_size else b"x")
        assert Home(copy).verify(), path.name
        try:
            opened = Home(copy).open("default")
            assert found(opened, "valve") == {"a"}
            opened.close()
        except RagError:
            pass
        shutil.rmtree(copy)


def test_a_database_that_lost_commits_is_noticed(store_home: Home, collection: Collection, tmp_path: Path) -> None:
    put(collection, ("a", "old"))
    collection.close()
    database = collection.folder / "store.sqlite"
    outdated = database.read_bytes()
    again = store_home.open("default")
    put(again, ("a", "new"))
    again.close()
    database.write_bytes(outdated)
    with pytest.raises(CorruptCollection, match="not the newest"):
        store_home.open("default")


def test_the_database_of_another_collection_is_noticed(store_home: Home, collection: Collection) -> None:
    from tests.rag.storage.stores import CARD

    other = store_home.create("other", CARD)
    put(other, ("b", "y"))
    other.close()
    put(collection, ("a", "x"))
    collection.close()
    shutil.copy(other.folder / "store.sqlite", collection.folder / "store.sqlite")
    with pytest.raises(CorruptCollection, match="not the newest"):
        store_home.open("default")


def test_backup_and_restore_give_the_same_collection(store_home: Home, collection: Collection, tmp_path: Path) -> None:
    put(collection, ("a", "violet"))
    put(collection, ("a", "amber"), ("b", "more", ["hr"]))
    collection.set_setting("k", 1)
    collection.backup(tmp_path / "b.tar")
    restored = restore(tmp_path / "b.tar", Home(tmp_path / "elsewhere"))
    assert restored.name == "default"
    assert restored.snapshot().documents() == collection.snapshot().documents()
    assert found(restored, "violet", as_of=1) == {"a"}
    assert found(restored, "more", ["eng"]) == set()
    assert restored.get_setting("k") == 1
    assert restored.verify() == []
    put(restored, ("c", "goes on"))
    restored.close()
    with pytest.raises(UsageError, match="exists already"):
        restore(tmp_path / "b.tar", Home(tmp_path / "elsewhere"))
    restore(tmp_path / "b.tar", Home(tmp_path / "elsewhere"), "second").close()
    assert Home(tmp_path / "elsewhere").names() == ["default", "second"]


def test_damaged_backups_leave_nothing_behind(collection: Collection, tmp_path: Path) -> None:
    put(collection, ("a", "violet"))
    collection.backup(tmp_path / "b.tar")
    good = (tmp_path / "b.tar").read_bytes()
    elsewhere = Home(tmp_path / "elsewhere")
    for hurt in (
        good[:1000],
        good[: len(good) // 2],
        b"",
        b"no tar at all" * 100,
        bytes(flipped(bytearray(good), len(good) // 2)),
    ):
        (tmp_path / "bad.tar").write_bytes(hurt)
        with pytest.raises(CorruptCollection):
            restore(tmp_path / "bad.tar", elsewhere)
        assert elsewhere.names() == []
        assert [p for p in elsewhere.folder.rglob("*") if p.is_file()] == []
    with pytest.raises(UsageError, match="no such file"):
        restore(tmp_path / "none.tar", elsewhere)


def test_a_sealed_file_is_refused_after_any_change_of_a_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    sealed.write(Disk(), path, {"b": [1, "词"], "a": None})
    assert sealed.read(path) == {"b": [1, "词"], "a": None}
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(flipped(bytearray(good), at))
        with pytest.raises(CorruptCollection):
            sealed.read(path)


def test_a_refused_write_is_one_line_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="No such file or directory"):
        Disk().write_file(tmp_path / "none" / "a", [b"x"])


def test_a_copy_of_long_values_is_sound(tmp_path: Path) -> None:
    with connect(tmp_path / "source.sqlite") as source:
        source.script("CREATE TABLE t (value BLOB)")
        with source.transaction():  # more than the page cache holds
            source.run_many("INSERT INTO t VALUES (?)", [(bytes([i % 256]) * 20_000,) for i in range(500)])
        source.copy_to(tmp_path / "copy.sqlite")
    assert page_problems(tmp_path / "copy.sqlite") == []
    with connect(tmp_path / "copy.sqlite", create=False) as copy:
        assert copy.value("SELECT count(*) FROM t WHERE length(value) = 20000") == 500
        assert copy.problems() == []
