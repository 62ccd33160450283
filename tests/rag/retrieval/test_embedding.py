"""One contract for every embedder and engine: the same unit vectors, in order, whatever runs them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rag.errors import ModelUnavailable, UsageError
from rag.models.catalog import CATALOG, find
from rag.protocols import Embedder
from rag.retrieval.embedding import OnnxEmbedder, identity, load_embedder
from rag.retrieval.st_embedding import SentenceTransformersEmbedder, find_folder, load_cross_encoder
from rag.settings import Settings

NAMES = [m.name for m in CATALOG.values() if m.role == "embedder" and m.files]
TEXTS = [
    "The quarterly report is due on 31 March; travel above 2,150 kroner needs approval.",
    "出差到成都的住宿标准为每晚 480 元，超过部分由员工自行承担。",
    "Fault code E-19 表示进水口堵塞 (BW-310). ＡＢＣ　全角 ﬁne café",
    "",
    "x",
    "budget warehouse " * 280,
]
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Pair:
    """An embedder on onnxruntime and the same through sentence-transformers in 32-bit floats, with their vectors of TEXTS."""

    folder: Path
    ours: OnnxEmbedder
    other: SentenceTransformersEmbedder
    ours_rows: np.ndarray
    other_rows: np.ndarray


@pytest.fixture(scope="module", params=NAMES)
def pair(request: pytest.FixtureRequest, model: Callable[[str], Path]) -> Pair:
    pytest.importorskip("sentence_transformers")
    entry = find(request.param)
    folder = model(entry.name)
    ours = OnnxEmbedder(entry, folder, threads=1)
    other = SentenceTransformersEmbedder(entry.name, folder, encoder=entry.encoder, identity=identity(entry), threads=1)
    return Pair(folder, ours, other, ours.embed_passages(TEXTS), other.embed_passages(TEXTS))


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", a, b)


def test_two_engines_give_the_same_passages(pair: Pair) -> None:
    assert cosines(pair.ours_rows, pair.other_rows).min() >= 0.9999


def test_openvino_gives_the_same_passages(pair: Pair) -> None:
    other = OnnxEmbedder(find(pair.ours.name), pair.folder, threads=1, session="openvino")
    assert cosines(pair.ours_rows, other.embed_passages(TEXTS)).min() >= 0.9999


def test_two_engines_give_the_same_questions(pair: Pair) -> None:
    assert all(float(pair.ours.embed_question(t) @ pair.other.embed_question(t)) >= 0.9999 for t in TEXTS[1:3])


def test_two_engines_give_the_same_token_vectors(pair: Pair) -> None:
    for question, texts in ((False, TEXTS[:4]), (True, TEXTS[1:2])):
        a, b = (e.token_vectors(texts, question=question) for e in (pair.ours, pair.other))
        for x, y in zip(a, b, strict=True):
            assert x.shape == y.shape
            assert not len(x) or cosines(x, y).min() >= 0.9999


def test_passages_tell_their_token_vectors(pair: Pair) -> None:
    for embedder, rows in ((pair.ours, pair.ours_rows), (pair.other, pair.other_rows)):
        told: dict[int, np.ndarray] = {}
        assert cosines(embedder.embed_passages(TEXTS, told.__setitem__), rows).min() >= 0.9999
        for row, vectors in enumerate(embedder.token_vectors(TEXTS)):
            assert told[row].shape == vectors.shape
            assert not len(vectors) or cosines(told[row], vectors).min() >= 0.9999


def test_vectors_are_unit_rows_of_the_stated_dimension(pair: Pair) -> None:
    for embedder, rows in ((pair.ours, pair.ours_rows), (pair.other, pair.other_rows)):
        assert isinstance(embedder, Embedder)
        assert rows.shape == (len(TEXTS), embedder.dim)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert embedder.embed_question("x").shape == (embedder.dim,)
        assert embedder.embed_passages([]).shape == (0, embedder.dim)


def test_a_batch_gives_what_single_texts_give(pair: Pair) -> None:
    single = np.concatenate([pair.ours.embed_passages([t]) for t in TEXTS[:5]])
    assert cosines(pair.ours_rows[:5], single).min() >= 0.9999


def test_identity_does_not_depend_on_the_engine(pair: Pair) -> None:
    assert dict(pair.ours.identity) == dict(pair.other.identity)


def test_a_folder_is_loaded_through_sentence_transformers(model: Callable[[str], Path], settings: Settings) -> None:
    pytest.importorskip("sentence_transformers")
    folder = model("all-minilm-l6-v2")
    by_folder = load_embedder(str(folder), settings)
    by_name = load_embedder("all-minilm-l6-v2", settings)
    assert isinstance(by_folder, SentenceTransformersEmbedder)
    assert cosines(by_folder.embed_passages(TEXTS), by_name.embed_passages(TEXTS)).min() >= 0.9999
    assert by_folder.identity["weights"] == by_name.identity["weights"]


def test_a_cross_encoder_of_a_folder_scores_each_text(tmp_path: Path, model: Callable[[str], Path]) -> None:
    """A cross-encoder with random weights: what is tested is the loading, the shape and the order, not its taste."""
    pytest.importorskip("sentence_transformers")
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, num_labels=1
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(model("all-minilm-l6-v2")).save_pretrained(tmp_path)
    scorer = load_cross_encoder(str(tmp_path))
    scores = scorer.score("hotel limit", ["The limit is 480.", "Parking", "出差"])
    assert scores.shape == (3,)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scorer.score("hotel limit", ["Parking"]), scores[1:2], atol=1e-4)
    assert scorer.score("x", []).shape == (0,)


def test_a_folder_that_holds_no_model_is_named(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(ModelUnavailable, match="neither config"):
        load_embedder(str(tmp_path), settings)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(ModelUnavailable, match="no such folder"):
        find_folder(str(tmp_path / "nowhere"), settings)


def test_a_folder_without_weights_is_named(tmp_path: Path, settings: Settings) -> None:
    pytest.importorskip("sentence_transformers")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        load_embedder(str(tmp_path), settings)


def test_a_generator_is_no_embedder() -> None:
    with pytest.raises(UsageError, match="is a generator, not an embedder"):
        identity(find("smollm2-135m-instruct"))


def test_a_hub_name_out_of_reach_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.models.hub.reachable", lambda _: False)
    with pytest.raises(ModelUnavailable, match=r"some/model.*cannot be reached.*give the folder's path"):
        load_embedder("some/model", Settings.load({}, models=tmp_path))
