"""The folder of collections: made, replaced, removed."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from rag.errors import CollectionLocked, NotFound, UsageError
from rag.storage.collection import Collection
from rag.storage.home import Home
from tests.rag.storage.stores import CARD, found, put


class TestHome:
    def test_looking_creates_nothing(self, tmp_path: Path) -> None:
        home = Home(tmp_path / "nowhere")
        assert (home.exists("default"), home.names()) == (False, [])
        with pytest.raises(NotFound, match="rag ingest"):
            home.open("default")
        assert not (tmp_path / "nowhere").exists()

    def test_names_that_could_leave_the_home_are_refused(self, store_home: Home) -> None:
        for name in ("../x", "a/b", ".hidden", "", "x" * 65, "a b"):
            with pytest.raises(UsageError, match="a name has"):
                store_home.create(name, CARD)

    def test_create_refuses_what_exists(self, store_home: Home, collection: Collection) -> None:
        with pytest.raises(UsageError, match="exists already"):
            store_home.create("default", CARD)

    def test_remove(self, store_home: Home, collection: Collection) -> None:
        with collection.writer(), pytest.raises(CollectionLocked):
            store_home.remove("default")
        store_home.remove("default")
        with pytest.raises(NotFound, match="removed meanwhile"):
            collection.snapshot()
        assert store_home.names() == []
        with pytest.raises(NotFound):
            store_home.remove("default")

    def test_removed_while_a_reader_opens_it(
        self, store_home: Home, collection: Collection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(collection, ("a", "old"))
        reader = store_home.open("default")
        opening = reader.open_segments

        def late(rows: Any) -> Any:
            store_home.remove("default")
            return opening(rows)

        monkeypatch.setattr(reader, "open_segments", late)
        with pytest.raises(NotFound, match="removed meanwhile"):
            reader.snapshot()

    def test_opening_what_is_made_and_removed_all_the_time(self, store_home: Home) -> None:
        stop = Event()

        def make_and_remove() -> None:
            while not stop.is_set():
                store_home.create("default", CARD).close()
                store_home.remove("default")

        thread = Thread(target=make_and_remove)
        thread.start()
        opened = missed = 0
        try:
            while min(opened, missed) < 5:
                try:
                    store_home.open("default").close()
                    opened += 1
                except NotFound:
                    missed += 1
        finally:
            stop.set()
            thread.join()

    def test_replace_takes_the_place_and_mends_itself_after_a_cut(
        self, store_home: Home, collection: Collection
    ) -> None:
        put(collection, ("a", "old"))
        collection.close()
        for cut in (False, True):
            new = store_home.create("new", CARD)
            put(new, ("b", f"new {cut}"))
            new.close()
            if cut:  # the process died between its two renames
                folder = store_home.folder / "collections"
                (folder / "new").rename(folder / ".next-default")
                (folder / "default").rename(folder / ".old-1")
            else:
                store_home.replace("default", "new")
            again = Home(store_home.folder)
            assert again.names() == ["default"]
            opened = again.open("default")
            assert found(opened, str(cut)) == {"b"}
            opened.close()
