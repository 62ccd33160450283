"""Re-embedding: every live document in the shadow, groups kept, then the swap; cut off, it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from rag.errors import CollectionMismatch, UsageError
from rag.retrieval.fields import Fields
from rag.retrieval.reembedding import reembed
from rag.storage.card import Card, FieldCard
from rag.storage.home import Home
from rag.types import Chunk
from tests.rag.storage.stores import CARD, found, put

NEW = Card((FieldCard("new", "new-model", ("*",), 4),), CARD.chunking)


class FourNumbers:
    """Embeds a chunk as the first letters of its text; fails after so many chunks when asked to."""

    def __init__(self, card: Card = NEW, fail_after: int | None = None) -> None:
        self.card = card
        self.embedded = 0
        self.fail_after = fail_after

    def embed(self, chunks: Sequence[Chunk], progress: Any = None, codes: Any = None) -> dict[str, Any]:
        self.embedded += len(chunks)
        for chunk in chunks:
            codes(chunk.content_hash, b"new")
        if self.fail_after is not None and self.embedded > self.fail_after:
            raise KeyboardInterrupt
        vectors = np.array([[*(ord(c) for c in chunk.text[:4].ljust(4))] for chunk in chunks], np.float32)
        return {"new": (np.arange(len(chunks)), vectors / np.linalg.norm(vectors, axis=1, keepdims=True))}


def embedder(**how: Any) -> Fields:
    return cast(Fields, FourNumbers(**how))


@pytest.fixture
def store_home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    collection = home.create("default", CARD)
    put(collection, *((f"d{i}", f"text {i}\nmore", ["hr"] if i % 2 else ["public"]) for i in range(150)))
    put(collection, ("d0", "changed"))
    with collection.writer() as writer:
        writer.remove("d1")
        writer.commit()
    collection.close()
    return home


def test_the_collection_has_the_new_model_and_the_same_documents(store_home: Home) -> None:
    assert reembed(store_home, "default", embedder()) == 148 * 2 + 1
    collection = store_home.open("default")
    assert store_home.names() == ["default"]
    assert collection.card == NEW
    infos = collection.snapshot().documents()
    assert len(infos) == 149
    assert {i.groups for i in infos if int(i.document[1:]) % 2} == {frozenset({"hr"})}
    assert found(collection, "changed") == {"d0"}
    snapshot = collection.snapshot()
    assert len(snapshot.dense("new", np.ones(4, np.float32), snapshot.allowed(None), 1000)) == 148 * 2 + 1
    assert collection.verify() == []
    collection.close()


def test_a_run_that_was_cut_off_goes_on_and_the_old_one_answers_meanwhile(store_home: Home) -> None:
    with pytest.raises(KeyboardInterrupt):
        reembed(store_home, "default", embedder(fail_after=200))
    old = store_home.open("default")
    assert old.card == CARD
    assert found(old, "changed") == {"d0"}
    old.close()
    assert reembed(store_home, "default", embedder()) == 148 * 2 + 1 - (63 * 2 + 1)  # the first batch was committed


def test_the_same_model_is_refused(store_home: Home) -> None:
    with pytest.raises(UsageError, match="has this model already"):
        reembed(store_home, "default", embedder(card=CARD))


def test_a_shadow_of_a_third_model_is_refused(store_home: Home) -> None:
    store_home.create("default.reembed", replace(NEW, chunking="other")).close()
    with pytest.raises(CollectionMismatch, match=r"remove default\.reembed"):
        reembed(store_home, "default", embedder())


def test_another_tokenizer_needs_no_embedding(store_home: Home) -> None:
    collection = store_home.open("default")
    collection.database.run("UPDATE meta SET value = json_set(value, '$.tokenizer', 'old-1') WHERE key = 'card'")
    collection.close()
    fields = FourNumbers(card=CARD)
    reembed(store_home, "default", cast(Fields, fields))
    assert fields.embedded == 0
    collection = store_home.open("default")
    assert found(collection, "changed") == {"d0"}
    snapshot = collection.snapshot()
    assert len(snapshot.dense("toy", np.ones(8, np.float32), snapshot.allowed(None), 1000)) == 148 * 2 + 1
    collection.close()
