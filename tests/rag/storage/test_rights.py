"""Who may see what: nothing of a document reaches a caller without its groups, by any way."""

from __future__ import annotations

import random

import numpy as np
import pytest

from rag.errors import NotFound
from rag.storage.collection import Collection
from tests.rag.storage.stores import found, parts, put, vector

GROUPS = [f"g{i}" for i in range(20)]


def test_public_documents_are_for_everyone_with_a_group_and_an_empty_set_sees_nothing(collection: Collection) -> None:
    put(collection, ("a", "valve", ["public"]), ("b", "valve", ["hr"]))
    assert found(collection, "valve", ["eng"]) == {"a"}
    assert found(collection, "valve", ["hr"]) == {"a", "b"}
    assert found(collection, "valve", []) == set()
    assert found(collection, "valve", None) == {"a", "b"}


def test_revocation_holds_for_the_next_search_and_for_old_generations(collection: Collection) -> None:
    put(collection, ("a", "valve", ["hr", "eng"]))
    with collection.writer() as writer:
        writer.set_groups("a", frozenset({"hr"}))
        writer.commit()
    assert found(collection, "valve", ["eng"]) == set()
    assert found(collection, "valve", ["eng"], as_of=1) == set()
    assert found(collection, "valve", ["hr"], as_of=1) == {"a"}


def test_revocation_by_another_process_holds_at_once(collection: Collection) -> None:
    from rag.storage.home import Home

    put(collection, ("a", "valve", ["eng"]))
    reader = Home(collection.folder.parent.parent).open("default")
    assert found(reader, "valve", ["eng"]) == {"a"}
    with collection.writer() as writer:
        writer.set_groups("a", frozenset({"hr"}))
        writer.commit()
    assert found(reader, "valve", ["eng"]) == set()
    reader.close()


def test_scores_do_not_depend_on_what_the_caller_cannot_see(collection: Collection) -> None:
    put(collection, ("a", "valve one"), ("b", "pump two"))
    before = _scores(collection, ["x"])
    put(collection, *((f"h{i}", "valve valve secret " * 9, ["hr"]) for i in range(30)))
    assert _scores(collection, ["x"]) == before
    assert _scores(collection, ["hr"]) != before


def _scores(collection: Collection, groups: list[str]) -> list[float]:
    snapshot = collection.snapshot()
    return [float(s) for s in snapshot.keyword(["valv", "one"], snapshot.allowed(frozenset(groups)), 50).scores]


def test_hidden_documents_look_like_missing_ones(collection: Collection) -> None:
    put(collection, ("a", "valve", ["hr"]))
    snapshot = collection.snapshot()
    eng = frozenset({"eng"})
    for look in (lambda d: snapshot.document(d, eng), lambda d: snapshot.document_chunks(d, eng)):
        messages = []
        for document in ("a", "z"):
            with pytest.raises(NotFound) as refused:
                look(document)
            messages.append(str(refused.value).replace(f"document {document}:", ""))
        assert messages[0] == messages[1]
    assert snapshot.documents(eng) == []
    assert snapshot.find("a.md", eng) is None


def test_ten_thousand_searches_over_twenty_groups_with_rights_that_change_leak_nothing(collection: Collection) -> None:
    rng = random.Random(3)
    rights: dict[str, set[str]] = {f"d{i}": set(rng.sample(GROUPS, rng.randint(1, 4))) for i in range(60)}
    # Every chunk says whose it is, so a leak is seen in the text itself.
    with collection.writer() as writer:
        for name, groups in rights.items():
            writer.put(*parts(name, f"common {name} alpha\ncommon {name} beta", sorted(groups)))
        writer.commit()
    everywhere = vector("common")
    leaked = searches = 0
    for _ in range(50):
        with collection.writer() as writer:
            for name in rng.sample(sorted(rights), 10):
                rights[name] = set(rng.sample(GROUPS, rng.randint(1, 4)))
                writer.set_groups(name, frozenset(rights[name]))
            writer.commit()
        for _ in range(100):
            caller = frozenset(rng.sample(GROUPS, rng.randint(1, 3)))
            snapshot = collection.snapshot()
            allowed = snapshot.allowed(caller, rng.choice(["", "", "path=*"]))
            keyword = snapshot.keyword(["common", rng.choice(["alpha", "beta"])], allowed, 1000)
            dense = snapshot.dense("toy", everywhere, allowed, 1000)
            searches += 2
            visible = {d for d, groups in rights.items() if groups & caller}
            for ranking in (keyword, dense):
                chunks = snapshot.chunks(ranking.ids)
                leaked += sum(c.document not in visible for c in chunks)
                assert {c.document for c in chunks} == visible  # and nothing that may be seen is missing
            hidden = rng.choice(sorted(set(rights) - visible))
            with pytest.raises(NotFound):
                snapshot.document(hidden, caller)
            assert not allowed.contains([c.id for c in snapshot.document_chunks(hidden)]).any()
            assert allowed.count == 2 * len(visible)
    assert (leaked, searches) == (0, 10_000)


def test_allowed_contains_tells_ids_apart(collection: Collection) -> None:
    put(collection, ("a", "x"), ("b", "y", ["hr"]))
    put(collection, ("c", "z"))
    allowed = collection.snapshot().allowed(frozenset({"eng"}))
    np.testing.assert_array_equal(allowed.contains([0, 1, 2, 99]), [True, False, True, False])
