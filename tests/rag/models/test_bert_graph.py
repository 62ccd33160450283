"""The ONNX graph computes BERT: compared with the formulas written out in numpy, on a network of random weights."""

import json
from collections.abc import Mapping
from math import erf
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from rag.models.bert_engine import BertEngine, Session
from rag.models.bert_graph import tensor_offsets, write_graph
from rag.models.bert_weights import BertShape
from rag.models.onnx_session import OnnxSession
from rag.models.openvino_session import OpenvinoSession

HIDDEN, HEADS, FFN, LAYERS, WORDS = 32, 2, 48, 2, 12
Array = NDArray[np.float32]


def state() -> dict[str, Array]:
    rng = np.random.default_rng(0)

    def random(*shape: int) -> Array:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": random(WORDS, HIDDEN),
        "embeddings.position_embeddings.weight": random(64, HIDDEN),
        "embeddings.token_type_embeddings.weight": random(2, HIDDEN),
        "embeddings.LayerNorm.weight": random(HIDDEN),
        "embeddings.LayerNorm.bias": random(HIDDEN),
    }
    for n in range(LAYERS):
        p = f"encoder.layer.{n}"
        for name, rows, columns in (
            ("attention.self.query", HIDDEN, HIDDEN),
            ("attention.self.key", HIDDEN, HIDDEN),
            ("attention.self.value", HIDDEN, HIDDEN),
            ("attention.output.dense", HIDDEN, HIDDEN),
            ("intermediate.dense", FFN, HIDDEN),
            ("output.dense", HIDDEN, FFN),
        ):
            tensors |= {f"{p}.{name}.weight": random(rows, columns), f"{p}.{name}.bias": random(rows)}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            tensors |= {f"{p}.{name}.weight": random(HIDDEN), f"{p}.{name}.bias": random(HIDDEN)}
    return tensors


def brute_force(w: Mapping[str, Array], ids: list[int]) -> Array:
    """(tokens, hidden) of one sequence without padding. Devlin et al. 2019, arXiv:1810.04805."""

    def norm(x: Array, name: str) -> Array:
        centred = x - x.mean(1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-12) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: Array, name: str) -> Array:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    e = "embeddings"
    x = w[f"{e}.word_embeddings.weight"][ids] + w[f"{e}.position_embeddings.weight"][: len(ids)]
    x = norm(x + w[f"{e}.token_type_embeddings.weight"][0], f"{e}.LayerNorm")
    size = HIDDEN // HEADS
    for n in range(LAYERS):
        p = f"encoder.layer.{n}"
        q, k, v = (linear(x, f"{p}.attention.self.{r}") for r in ("query", "key", "value"))
        heads = []
        for h in range(HEADS):
            part = slice(h * size, (h + 1) * size)
            a = np.exp(q[:, part] @ k[:, part].T / np.sqrt(size))
            heads.append(a / a.sum(1, keepdims=True) @ v[:, part])
        x = norm(x + linear(np.concatenate(heads, 1), f"{p}.attention.output.dense"), f"{p}.attention.output.LayerNorm")
        wide = linear(x, f"{p}.intermediate.dense")
        wide = wide * 0.5 * (1 + np.vectorize(erf)(wide / np.sqrt(2)))
        x = norm(x + linear(wide.astype(np.float32), f"{p}.output.dense"), f"{p}.output.LayerNorm")
    return x.astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bert")
    save_file(state(), path / "model.safetensors")
    write_graph(path, BertShape(HEADS))
    words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3} | {c: i for i, c in enumerate("abcdefgh", 4)}
    special = [{"id": i, "content": w, "special": True} for w, i in words.items() if i < 4]
    for token in special:
        token |= {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    tokenizer = {
        "version": "1.0",
        "added_tokens": special,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "BertProcessing",
            "sep": ["[SEP]", 3],
            "cls": ["[CLS]", 2],
        },
        "model": {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"},
    }
    (path / "tokenizer.json").write_text(json.dumps(tokenizer))
    return path


@pytest.mark.parametrize("session", [OnnxSession, OpenvinoSession])
def test_states_are_those_of_the_formulas_with_and_without_padding(folder: Path, session: type) -> None:
    w = state()
    rows = [[2, 4, 5, 6, 3], [2, 7, 3]]
    table = np.array([rows[0], rows[1] + [0, 0]])
    mask = (table != 0).astype(np.int32)
    run: Session = session(folder / "core.onnx", threads=1)
    states = run.run(w["embeddings.word_embeddings.weight"][table], mask)
    assert states.shape == (2, 5, HIDDEN)
    for row, found in zip(rows, states, strict=True):
        np.testing.assert_allclose(found[: len(row)], brute_force(w, row), atol=2e-5)


@pytest.mark.parametrize("session", ["onnx", "openvino"])
def test_vectors_are_pooled_normalised_and_in_order(folder: Path, session: str) -> None:
    w = state()
    texts = ["a", "a b c d e", "", "h g"]
    for pooling in ("cls", "mean"):
        engine = BertEngine(folder, pooling, 16, threads=1, session=session)  # type: ignore[arg-type]
        found = engine.embed(texts)
        for text, row in zip(texts, found, strict=True):
            states = brute_force(w, [2, *(4 + "abcdefgh".index(c) for c in text.split()), 3])
            expected = states[0] if pooling == "cls" else states.mean(0)
            np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=1e-5)


def test_token_vectors_leave_out_the_special_tokens(folder: Path) -> None:
    w = state()
    found = BertEngine(folder, "cls", 16, threads=1).token_vectors(["a b", "", "c"])
    assert [len(v) for v in found] == [2, 0, 1]
    expected = brute_force(w, [2, 4, 5, 3])[1:3]
    np.testing.assert_allclose(found[0], expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_batches_side_by_side_are_the_same_vectors_in_the_same_order(folder: Path) -> None:
    texts = [" ".join("abcdefgh"[(i + j) % 8] for j in range(1 + i % 12)) for i in range(200)]
    alone, both = (BertEngine(folder, "mean", 16, threads=threads) for threads in (1, 2))
    told: dict[int, np.ndarray] = {}
    np.testing.assert_allclose(both.embed(texts, told.__setitem__), alone.embed(texts), atol=1e-6)
    for row, vectors in enumerate(alone.token_vectors(texts)):
        np.testing.assert_allclose(told[row], vectors, atol=1e-6)


def test_a_text_longer_than_the_model_is_cut(folder: Path) -> None:
    engine = BertEngine(folder, "cls", 4, threads=1)
    np.testing.assert_array_equal(engine.embed(["a b c d e"]), engine.embed(["a b"]))


def test_no_texts_give_no_rows(folder: Path) -> None:
    assert BertEngine(folder, "cls", 8, threads=1).embed([]).shape == (0, HIDDEN)


def test_the_graph_holds_no_weights_of_its_own(folder: Path) -> None:
    assert (folder / "core.onnx").stat().st_size < 40_000
    assert len(tensor_offsets(folder / "model.safetensors")) == len(state())
