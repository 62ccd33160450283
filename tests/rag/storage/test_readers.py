"""Readers while others write: no error, and every answer from exactly one generation."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rag.storage import compaction, segments
from rag.storage.collection import Collection
from rag.storage.home import Home
from tests.rag.storage.stores import parts, vector

QUERIES = 10_000
COMMITS = 100


@pytest.mark.slow
def test_ten_thousand_searches_during_a_hundred_commits_are_each_of_one_generation(collection: Collection) -> None:
    documents = [f"d{i}" for i in range(10)]

    def commit(number: int) -> None:
        # Every document changes in every commit, so a mixture of two generations would show.
        with collection.writer() as writer:
            for name in documents:
                writer.put(*parts(name, f"common of{number}"))
            writer.commit()

    commit(1)
    errors: list[str] = []
    asked = [0, 0]
    generations: set[int] = set()
    done = threading.Event()

    def read(reader: Collection, number: int) -> None:
        try:
            while asked[number] < QUERIES // 2 or not done.is_set():
                snapshot = reader.snapshot()
                everything = snapshot.allowed(None)
                for ids in (
                    snapshot.keyword(["common"], everything, 50).ids,
                    snapshot.dense("toy", vector("common"), everything, 50).ids,
                ):
                    texts = sorted(c.text for c in snapshot.chunks(ids))
                    if texts != [f"common of{snapshot.generation}"] * len(documents):
                        errors.append(f"generation {snapshot.generation}: {texts}")
                    asked[number] += 1
                generations.add(snapshot.generation)
        except Exception as e:  # noqa: BLE001 - any error at all is what this test looks for
            errors.append(repr(e))

    other = Home(collection.folder.parent.parent).open("default")  # a second process would open it the same way
    threads = [threading.Thread(target=read, args=(r, i)) for i, r in enumerate((collection, other))]
    for thread in threads:
        thread.start()
    for number in range(2, COMMITS + 2):
        commit(number)
    done.set()
    for thread in threads:
        thread.join()
    other.close()
    assert errors == []
    assert sum(asked) >= QUERIES
    assert len(generations) > 5
    assert collection.verify() == []


def test_reading_needs_no_writer_and_leaves_no_garbage(collection: Collection, tmp_path: Path) -> None:
    with collection.writer() as writer:
        writer.put(*parts("a", "x"))
        writer.commit()
        assert collection.snapshot().allowed(None).count == 1  # while the writer is open
    collection.close()
    reader = Home(tmp_path / "home").open("default")
    assert reader.snapshot().allowed(None).count == 1
    reader.close()
    names = sorted(p.name for p in (tmp_path / "home/collections/default").iterdir())
    assert names == ["commit.lock", "compact.lock", "head.json", "segments", "store.sqlite", "writer.lock"]


def test_files_that_a_compaction_removes_while_they_are_opened_are_looked_for_anew(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        with collection.writer() as writer:
            writer.put(*parts(f"d{number}", f"common of{number}"))
            writer.commit()
    reader = Home(collection.folder.parent.parent).open("default")
    opening = segments._unpacked
    opened: list[Path] = []

    def late(path: Path) -> object:
        opened.append(path)
        if len(opened) == 1:
            compaction.compact(collection, everything=True)
            compaction.sweep(collection)
            assert not path.exists()
        return opening(path)

    monkeypatch.setattr(segments, "_unpacked", late)
    found = reader.snapshot()
    assert sorted(c.text for c in found.chunks(found.keyword(["common"], found.allowed(None), 9).ids)) == [
        f"common of{n}" for n in range(3)
    ]
    reader.close()
