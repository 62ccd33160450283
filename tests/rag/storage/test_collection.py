"""Generations: what a commit changes, and what it must not."""

from __future__ import annotations

import numpy as np
import pytest

from rag.errors import CollectionLocked, CollectionMismatch, NotFound, UsageError
from rag.storage.card import FORMAT_VERSION, Card, FieldCard
from rag.storage.collection import Collection
from rag.storage.home import Home
from rag.types import Document
from tests.rag.storage.stores import CARD, found, parts, put, vector


def test_document_comes_back_as_it_was_put(collection: Collection) -> None:
    document, chunks, vectors = parts(
        "a", "first line\n第二行", date="2025-01-01", author="Ada", language="zh", type="pdf"
    )
    with collection.writer() as writer:
        writer.put(document, chunks, vectors)
        assert writer.commit("why") == 1
    snapshot = collection.snapshot()
    assert snapshot.document("a") == document
    stored = snapshot.document_chunks("a")
    assert [c.text for c in stored] == ["first line", "第二行"]
    assert [c.heading for c in stored] == [("H",), ("H",)]
    assert [c.id for c in stored] == [0, 1]
    assert snapshot.chunks([1, 0]) == [stored[1], stored[0]]
    np.testing.assert_array_equal(snapshot.vectors("toy", [1, 0]), [vector("第二行"), vector("first line")])
    assert [(g.generation, g.note) for g in collection.generations()] == [(0, "created"), (1, "why")]


def test_text_with_lone_surrogates_and_nul_is_kept(collection: Collection) -> None:
    put(collection, ("a", "x\0y"))
    assert collection.snapshot().document("a").text == "x\0y"


def test_keyword_and_dense_search_find_the_chunk(collection: Collection) -> None:
    put(collection, ("a", "red valve\nblue valve"), ("b", "green pump"))
    snapshot = collection.snapshot()
    everything = snapshot.allowed(None)
    assert snapshot.chunks(snapshot.keyword(["blue"], everything, 5).ids)[0].text == "blue valve"
    ranking = snapshot.dense("toy", vector("green pump"), everything, 2)
    assert snapshot.chunks(ranking.ids)[0].text == "green pump"
    assert ranking.scores[0] == pytest.approx(1.0)


def test_put_replaces_the_document_of_the_same_id(collection: Collection) -> None:
    put(collection, ("a", "old words"))
    put(collection, ("a", "new words"))
    assert found(collection, "old") == set()
    assert found(collection, "new") == {"a"}
    assert len(collection.snapshot().documents()) == 1


def test_old_generations_stay_as_they_were(collection: Collection) -> None:
    put(collection, ("a", "violet"), ("b", "stays"))
    put(collection, ("a", "amber"))
    with collection.writer() as writer:
        writer.remove("b")
        writer.commit()
    assert [found(collection, w, as_of=1) for w in ("violet", "amber", "stays")] == [{"a"}, set(), {"b"}]
    assert [found(collection, w, as_of=2) for w in ("violet", "amber", "stays")] == [set(), {"a"}, {"b"}]
    assert [found(collection, w) for w in ("violet", "amber", "stays")] == [set(), {"a"}, set()]
    assert collection.snapshot(1).document("a").text == "violet"
    changes = collection.diff(1, 3)
    assert [[i.document for i in kind] for kind in (changes.added, changes.changed, changes.removed)] == [
        [],
        ["a"],
        ["b"],
    ]


def test_rollback_makes_a_new_generation_equal_to_the_old_one(collection: Collection) -> None:
    put(collection, ("a", "violet"))
    put(collection, ("a", "amber"), ("b", "more"))
    assert collection.rollback(1) == 3
    assert found(collection, "violet") == {"a"}
    assert found(collection, "amber more") == set()
    assert found(collection, "amber", as_of=2) == {"a"}
    assert collection.diff(1, 3) == collection.diff(1, 1)
    assert collection.rollback(2) == 4  # and there again
    assert found(collection, "amber more") == {"a", "b"}
    assert collection.verify() == []


@pytest.mark.parametrize("generation", [-1, 2, 999_999])
def test_unknown_generation_is_refused_by_number(collection: Collection, generation: int) -> None:
    put(collection, ("a", "x"))
    with pytest.raises(NotFound, match=f"generation {generation}: .*0 to 1"):
        collection.snapshot(generation)
    with pytest.raises(NotFound, match=f"generation {generation}"):
        collection.rollback(generation)


def test_what_is_not_committed_is_forgotten(collection: Collection) -> None:
    with collection.writer() as writer:
        writer.put(*parts("a", "x"))
    assert collection.generation == 0
    with collection.writer() as writer:
        assert writer.commit() == 0  # nothing staged, no new generation
    assert list(collection.segment_folder.iterdir()) == []


def test_several_commits_of_one_writer(collection: Collection) -> None:
    with collection.writer() as writer:
        writer.put(*parts("a", "x"))
        assert writer.commit() == 1
        writer.put(*parts("b", "y"))
        assert writer.commit() == 2
    assert found(collection, "x y") == {"a", "b"}


def test_a_snapshot_does_not_see_later_commits(collection: Collection) -> None:
    put(collection, ("a", "x"))
    before = collection.snapshot()
    put(collection, ("a", "z"), ("b", "x"))
    assert before.generation == 1
    assert before.keyword(["x"], before.allowed(None), 10).ids.tolist() == [0]
    assert before.document("a").text == "x"


def test_another_process_sees_a_commit_at_once(store_home: Home, collection: Collection) -> None:
    reader = Home(store_home.folder).open("default")
    assert reader.generation == 0
    put(collection, ("a", "x"))
    assert reader.generation == 1
    assert found(reader, "x") == {"a"}
    reader.close()


def test_a_second_writer_is_refused_by_name(store_home: Home, collection: Collection) -> None:
    other = Home(store_home.folder).open("default")
    with (
        collection.writer(),
        pytest.raises(CollectionLocked, match=r"collection default: process \d+ is writing"),
        other.writer(),
    ):
        pass
    with other.writer() as writer:  # free again
        writer.put(*parts("a", "x"))
        writer.commit()
    other.close()


def test_vectors_of_known_chunks_are_handed_out_for_reuse(collection: Collection) -> None:
    put(collection, ("a", "same\nother"))
    same = parts("a", "same")[1][0].content_hash
    with collection.writer() as writer:
        known = writer.known_vectors([same, "unknown", ""])
        assert set(known) == {same}
        np.testing.assert_array_equal(known[same]["toy"], vector("same"))
        writer.remove("a")
        writer.commit()
        assert writer.known_vectors([same]) == {}  # only of chunks that are alive


def test_move_keeps_chunks_and_vectors(collection: Collection) -> None:
    put(collection, ("a", "one\ntwo"))
    moved = parts("b", "one\ntwo", path="new/b.md")[0]
    with collection.writer() as writer:
        writer.move("a", moved)
        writer.commit()
    snapshot = collection.snapshot()
    assert [i.path for i in snapshot.documents()] == ["new/b.md"]
    chunks = snapshot.document_chunks("b")
    assert [c.text for c in chunks] == ["one", "two"]
    np.testing.assert_array_equal(snapshot.vectors("toy", [c.id for c in chunks]), [vector("one"), vector("two")])
    assert collection.verify() == []


def test_superseded_mark_comes_and_goes(collection: Collection) -> None:
    put(collection, ("a", "x"), ("b", "y"))
    for by in ("b", None):
        with collection.writer() as writer:
            writer.supersede("a", by)
            writer.commit()
        assert collection.snapshot().info(["a"])[0].superseded_by == by


def test_unknown_documents_are_refused(collection: Collection) -> None:
    with collection.writer() as writer:
        for change in (
            lambda: writer.remove("zz"),
            lambda: writer.set_groups("zz", frozenset({"a"})),
            lambda: writer.supersede("zz", "a"),
            lambda: writer.move("zz", parts("b", "x")[0]),
        ):
            with pytest.raises(NotFound, match="document zz"):
                change()
    with pytest.raises(NotFound, match="document zz"):
        collection.snapshot().document("zz")
    with pytest.raises(NotFound, match="chunk 7"):
        collection.snapshot().chunks([7])


def test_chunks_that_are_not_in_the_text_are_refused(collection: Collection) -> None:
    document, chunks, vectors = parts("a", "some text")
    other = Document(**{**{f: getattr(document, f) for f in document.__slots__}, "text": "else"})
    with collection.writer() as writer, pytest.raises(ValueError, match="not that part"):
        writer.put(other, chunks, vectors)


@pytest.mark.parametrize(
    ("positions", "rows", "reason"),
    [
        ([0], np.ones((1, 3), np.float32), "shape"),
        ([0, 0], np.ones((2, 8), np.float32), "ascend"),
        ([5], np.ones((1, 8), np.float32), "ascend"),
        ([0], np.full((1, 8), np.nan, np.float32), "finite"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(
    collection: Collection, positions: list[int], rows: np.ndarray, reason: str
) -> None:
    document, chunks, _ = parts("a", "x\ny")
    with collection.writer() as writer, pytest.raises(ValueError, match=reason):
        writer.put(document, chunks, {"toy": (np.array(positions), rows)})


def test_chunks_without_vectors_in_a_field_are_nan(store_home: Home) -> None:
    card = Card((FieldCard("zh", "m", ("zh",), 8), FieldCard("all", "m", ("*",), 8)), "c")
    collection = store_home.create("two", card)
    document, chunks, vectors = parts("a", "x\ny\nz")
    with collection.writer() as writer:
        writer.put(document, chunks, {"zh": (np.array([1]), vectors["toy"][1][:1]), "all": vectors["toy"]})
        writer.commit()
    snapshot = collection.snapshot()
    assert np.isnan(snapshot.vectors("zh", [0, 1, 2])).any(axis=1).tolist() == [True, False, True]
    assert snapshot.dense("zh", vector("x"), snapshot.allowed(None), 10).ids.tolist() == [1]
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        snapshot.dense("zh", np.ones(3, np.float32), snapshot.allowed(None), 1)
    collection.close()


def test_empty_document_is_a_document(collection: Collection) -> None:
    document = Document(id="e", title="e", text="", path="e.md", root="/", content_hash="0")
    with collection.writer() as writer:
        writer.put(document, [], {})
        writer.commit()
    assert collection.snapshot().document("e").text == ""
    assert collection.verify() == []


def test_find_by_id_path_name_and_title(collection: Collection) -> None:
    with collection.writer() as writer:
        writer.put(*parts("d1", "x", path="one/report.md"))
        writer.put(*parts("d2", "y", path="two/report.md"))
        writer.commit()
    snapshot = collection.snapshot()
    assert [snapshot.find(n) for n in ("d1", "one/report.md", "/docs/two/report.md", "D2")] == ["d1", "d1", "d2", "d2"]
    assert snapshot.find("report.md") is None  # two of them
    assert snapshot.find("none") is None


def test_settings_are_kept(store_home: Home, collection: Collection) -> None:
    assert collection.get_setting("calibration") is None
    collection.set_setting("calibration", {"a": [1, 2.5, "词"]})
    other = Home(store_home.folder).open("default")
    assert other.get_setting("calibration") == {"a": [1, 2.5, "词"]}
    other.set_setting("calibration", None)
    assert collection.get_setting("calibration") is None
    other.close()


def test_filters_are_part_of_the_allowed_set(collection: Collection) -> None:
    with collection.writer() as writer:
        writer.put(*parts("a", "valve", path="policies/a.md", language="en", date="2025-02-03"))
        writer.put(*parts("b", "valve", path="manuals/b.md", language="zh", date="2024-01-01"))
        writer.commit()
    snapshot = collection.snapshot()
    for text, names in (
        ("path=policies/*", {"a"}),
        ("date<2025", {"b"}),
        ("lang=zh|lang=en", {"a", "b"}),
        ("type=pdf", set()),
    ):
        ids = snapshot.keyword(["valv"], snapshot.allowed(None, text), 9).ids
        assert {c.document for c in snapshot.chunks(ids)} == names
    with pytest.raises(UsageError):
        snapshot.allowed(None, "nonsense")


class TestCompaction:
    def test_merges_and_changes_no_answer(self, collection: Collection) -> None:
        for i in range(20):
            put(collection, (f"d{i}", f"{chr(97 + i % 26) * (3 + i // 26)} common"))
        collection.compact()
        assert collection.segment_count() == 1
        assert found(collection, "common") == {f"d{i}" for i in range(20)}
        assert found(collection, "hhh", as_of=8) == {"d7"}
        assert collection.verify() == []
        named = {f.name for row in collection.snapshot().state.segments for f in row.files}
        assert {f.name for f in collection.segment_folder.iterdir()} == named

    def test_segments_stay_few_by_themselves(self, collection: Collection) -> None:
        for i in range(40):
            put(collection, (f"d{i}", f"{chr(97 + i % 26) * (3 + i // 26)} common"))
        collection.wait()
        assert collection.segment_count() <= 10
        assert found(collection, "common") == {f"d{i}" for i in range(40)}

    def test_keep_drops_what_no_kept_generation_has(self, collection: Collection) -> None:
        for i in range(5):
            put(collection, ("a", f"text {i}\nsecond"))
        assert collection.compact(keep=2) == 6  # generations 4 and 5 remain: two chunks each
        assert found(collection, "text", as_of=4) == {"a"}
        with pytest.raises(NotFound, match="no longer kept; kept are 4 to 5"):
            collection.snapshot(3)
        with pytest.raises(NotFound, match="no longer kept"):
            collection.rollback(3)
        assert collection.verify() == []
        put(collection, ("b", "new"))
        assert len({c.id for d in ("a", "b") for c in collection.snapshot().document_chunks(d)}) == 3

    def test_open_snapshots_go_on(self, collection: Collection) -> None:
        for i in range(10):
            put(collection, (f"d{i}", f"{chr(97 + i % 26) * (3 + i // 26)} common"))
        before = collection.snapshot()
        allowed = before.allowed(None)
        collection.compact()
        assert len(before.keyword(["common"], allowed, 20)) == 10
        assert len(before.dense("toy", vector("x"), allowed, 20)) == 10

    def test_files_that_no_row_names_are_swept_by_the_next_writer(self, collection: Collection) -> None:
        put(collection, ("a", "x"))
        (collection.segment_folder / "feed.rows").write_bytes(b"orphan")
        (collection.segment_folder / "feed.0.flat.tmp").write_bytes(b"torn")
        assert collection.verify() == []
        with collection.writer():
            pass
        assert not list(collection.segment_folder.glob("feed*"))


class TestCards:
    def test_newer_format_is_refused(self, store_home: Home, collection: Collection) -> None:
        collection.database.run("UPDATE meta SET value = json_set(value, '$.format_version', 99) WHERE key = 'card'")
        with pytest.raises(CollectionMismatch, match="format is 99"):
            store_home.open("default")

    def test_another_tokenizer_is_refused_by_naming_both(self, store_home: Home, collection: Collection) -> None:
        collection.database.run("UPDATE meta SET value = json_set(value, '$.tokenizer', 'old-1') WHERE key = 'card'")
        with pytest.raises(CollectionMismatch, match=r"'old-1'.*ragbase-1.*reembed"):
            store_home.open("default")

    def test_card_survives(self, store_home: Home, collection: Collection) -> None:
        other = store_home.open("default")
        assert other.card == CARD
        other.close()
        with pytest.raises(KeyError, match="no vector field 'x'"):
            CARD.field("x")


class TestMigration:
    def test_a_collection_of_format_1_is_brought_up_when_opened(self, store_home: Home, collection: Collection) -> None:
        put(collection, ("a", "violet"))
        self.make_old(collection)
        opened = store_home.open("default")
        assert opened.card.format_version == FORMAT_VERSION
        assert opened.database.rows("SELECT name FROM sqlite_schema WHERE name LIKE 'lives_%'") == [("lives_alive",)]
        assert found(opened, "violet") == {"a"}
        assert put(opened, ("b", "more")) == 2
        assert opened.verify() == []
        opened.close()

    def test_not_while_another_process_writes(self, store_home: Home, collection: Collection) -> None:
        with collection.writer():
            self.make_old(collection)
            with pytest.raises(CollectionLocked, match=f"from format 1 to {FORMAT_VERSION}"):
                store_home.open("default")

    @staticmethod
    def make_old(collection: Collection) -> None:
        collection.database.script(
            "DROP TABLE token_codes; DROP INDEX lives_alive; CREATE INDEX lives_removed ON lives (removed)"
        )
        collection.database.run("UPDATE meta SET value = json_set(value, '$.format_version', 1) WHERE key = 'card'")
