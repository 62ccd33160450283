"""Training a cross-encoder: it learns, goes on where it was stopped, and is what `reranker = FOLDER` loads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("sentence_transformers")

from rag.retrieval.st_embedding import load_cross_encoder
from tests.bench.cross_encoder import DONE, Course, CrossEncoder, Example, read, reciprocal_rank, train

COLOURS = ("red", "green", "blue", "yellow", "brown", "white", "black", "purple")
EXAMPLES = [
    Example(f"where is the {c} box", f"the {c} box is in the hall", [f"the {o} box was sold" for o in COLOURS])
    for c in COLOURS
]


@pytest.fixture
def base(tmp_path: Path, model: Callable[[str], Path]) -> Path:
    """An encoder with random weights, small enough to learn this in seconds."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30522, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128
    )
    folder = tmp_path / "base"
    BertModel(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(model("all-minilm-l6-v2")).save_pretrained(folder)
    return folder


def test_it_learns_which_passage_answers_and_goes_on_where_it_was_stopped(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = reciprocal_rank(CrossEncoder(base, 64), EXAMPLES)
    train(EXAMPLES, base, out, Course(steps=20, lists=8, rate=2e-3))
    assert json.loads((out / DONE).read_text())["step"] == 20
    trained = train(EXAMPLES, base, out, Course(steps=40, lists=8, rate=2e-3))
    assert json.loads((out / DONE).read_text())["step"] == 40
    assert reciprocal_rank(trained, EXAMPLES) > max(0.9, before)
    scores = load_cross_encoder(str(out)).score(EXAMPLES[0].question, [EXAMPLES[0].passage, *EXAMPLES[0].negatives])
    assert scores.argmax() == 0


def test_a_finished_training_is_not_begun_again(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train(EXAMPLES, base, out, Course(steps=2, lists=2))
    weights = (out / "model.safetensors").read_bytes()
    train(EXAMPLES, base, out, Course(steps=2, lists=2))
    assert (out / "model.safetensors").read_bytes() == weights


def test_examples_are_read_from_lines(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(
        json.dumps({"question": "怎样请假？", "passage": "向主管申请。", "negatives": ["加班"]}, ensure_ascii=False)
        + "\n"
    )
    assert read(file) == [Example("怎样请假？", "向主管申请。", ["加班"])]
