"""Which embedder holds which chunks and is asked which questions."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from rag.errors import CollectionMismatch, ModelUnavailable
from rag.protocols import TokenVectors
from rag.retrieval.fields import Fields, card, holds, open_fields
from rag.settings import Settings
from rag.storage.card import Card, FieldCard
from rag.types import Chunk


class Lengths:
    """A toy embedder: (characters, 1), not normalised, so that expected vectors are counted by hand."""

    max_tokens, identity, dim = 512, {}, 2

    def __init__(self, name: str) -> None:
        self.name = name

    def embed_passages(self, texts: Sequence[str], tokens: TokenVectors | None = None) -> np.ndarray:
        for row, text in enumerate(texts) if tokens is not None else ():
            tokens(row, np.ones((len(text), 384), np.float32))
        return np.array([[len(t), 1] for t in texts], np.float32)

    def embed_question(self, text: str) -> np.ndarray:
        return np.array([len(text), 0], np.float32)


def toy(fields: str, *, lasting: bool = False) -> tuple[Fields, list[str]]:
    loaded: list[str] = []

    def load(field: FieldCard, bulk: bool) -> Lengths:
        loaded.append(f"{field.name}{' bulk' if bulk else ''}")
        return Lengths(field.name)

    return Fields(card(Settings.load({}, fields=fields)), load, lasting=lasting), loaded  # type: ignore[arg-type]


def chunk(text: str, language: str, title: str = "") -> Chunk:
    return Chunk(-1, "d", text, (0, len(text)), language=language, title=title)


CHUNKS = [chunk("abc", "en"), chunk("中文", "zh", "题"), chunk("привет", "ru")]


def test_each_field_holds_the_chunks_of_its_languages() -> None:
    found = toy("bge+e5")[0].embed(CHUNKS)
    assert {name: positions.tolist() for name, (positions, _) in found.items()} == {
        "bge-zh": [1],
        "bge-en": [0],
        "e5": [0, 1, 2],
    }


def test_the_context_line_is_embedded_with_the_text() -> None:
    found = toy("e5")[0].embed(CHUNKS)
    assert found["e5"][1][:, 0].tolist() == [3, 4, 6]  # "题\n中文" has four characters


def test_with_bge_alone_english_holds_what_is_not_chinese() -> None:
    found = toy("bge")[0].embed(CHUNKS)
    assert {name: positions.tolist() for name, (positions, _) in found.items()} == {"bge-zh": [1], "bge-en": [0, 2]}


@pytest.mark.parametrize(("language", "asked"), [("zh", {"bge-zh", "e5"}), ("en", {"bge-en", "e5"}), ("ja", {"e5"})])
def test_a_question_goes_to_the_fields_of_its_language(language: str, asked: set[str]) -> None:
    assert set(toy("bge+e5")[0].question("what", language)) == asked


def test_only_the_models_that_are_needed_are_loaded_and_once() -> None:
    fields, loaded = toy("bge+e5")
    assert loaded == []
    for _ in range(2):
        assert fields.question("什么", "zh")["bge-zh"].tolist() == [2, 0]
    assert sorted(loaded) == ["bge-zh", "e5"]


def test_many_passages_go_to_the_bulk_engine() -> None:
    fields, loaded = toy("e5")
    fields.embed([chunk("a", "en")] * 500)
    assert loaded == ["e5 bulk"]


def test_a_lasting_process_opens_one_engine_only() -> None:
    fields, loaded = toy("bge+e5", lasting=True)
    fields.question("what", "en")
    fields.embed([chunk("a", "en")] * 500)
    fields.embed([chunk("a", "en")])
    assert sorted(loaded) == ["bge-en bulk", "e5 bulk"]


def test_progress_adds_up_to_the_vectors_needed() -> None:
    fields, _ = toy("bge+e5")
    told: list[int] = []
    fields.embed(CHUNKS, told.append)
    assert sum(told) == fields.vectors_needed(CHUNKS) == 5


def test_token_codes_are_made_in_the_field_of_all_languages() -> None:
    told: dict[str, bytes] = {}
    chunks = [replace(c, content_hash=c.text) for c in CHUNKS]
    plain, with_codes = toy("bge+e5")[0].embed(chunks), toy("bge+e5")[0].embed(chunks, codes=told.__setitem__)
    assert {digest: len(codes) // 32 for digest, codes in told.items()} == {"abc": 3, "中文": 4, "привет": 6}
    assert [v[1].tolist() for v in plain.values()] == [v[1].tolist() for v in with_codes.values()]
    told.clear()
    toy("bge")[0].embed(chunks, codes=told.__setitem__)
    assert told == {}


def test_holds() -> None:
    assert holds(("*",), "zh")
    assert holds(("!zh",), "en")
    assert not holds(("!zh",), "zh")
    assert not holds(("en",), "zh")


def test_a_model_that_changed_is_refused_naming_both_values() -> None:
    made = card(Settings.load({}))
    old = made.fields[0]
    changed = FieldCard(old.name, old.model, old.languages, old.dim, {**old.identity, "weights": "0" * 64})
    with pytest.raises(
        CollectionMismatch, match=r"bge-zh: made with weights 000000000000\.\.\., but .* now has 112e021fbe68"
    ):
        open_fields(Card((changed, *made.fields[1:]), made.chunking), Settings.load({}))


def test_a_card_of_the_catalog_needs_no_weights(tmp_path: object) -> None:
    assert card(Settings.load({}, models=tmp_path)).names == ("bge-zh", "bge-en", "e5")


def test_an_unknown_field_setting_is_answered_with_near_names() -> None:
    with pytest.raises(ModelUnavailable, match="did you mean multilingual-e5-small"):
        card(Settings.load({}, fields="multilingual-e5-smal"))
