"""Adapters in GGUF, on a model small enough to compute by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize
from safetensors.numpy import save_file

from eval.lora.gguf_adapter import chat_template, open_base, read_adapter, write_adapter, write_merged
from rag.errors import UsageError

HIDDEN, HEADS, KV, RANK = 64, 2, 1, 2


def _base(file: Path, architecture: str) -> dict[str, np.ndarray]:
    """A GGUF file with one layer's projections."""
    rng = np.random.default_rng(0)
    shapes = {"attn_q": (HIDDEN, HIDDEN), "attn_k": (HIDDEN // 2, HIDDEN), "ffn_up": (96, HIDDEN)}
    tensors = {f"blk.0.{n}.weight": rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    writer = GGUFWriter(file, architecture)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV)
    writer.add_file_type(0)
    writer.add_chat_template("{{ messages }}")
    writer.add_array("tokenizer.ggml.tokens", ["a", "字"])
    for name, value in tensors.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


def _adapter(folder: Path, **config: object) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    tensors = {}
    for name, out in (("self_attn.q_proj", HIDDEN), ("self_attn.k_proj", HIDDEN // 2), ("mlp.up_proj", 96)):
        stem = f"base_model.model.model.layers.0.{name}"
        tensors[f"{stem}.lora_A.weight"] = rng.normal(size=(RANK, HIDDEN)).astype(np.float32)
        tensors[f"{stem}.lora_B.weight"] = rng.normal(size=(out, RANK)).astype(np.float32)
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    about = {"peft_type": "LORA", "r": RANK, "lora_alpha": 4, "use_rslora": False, **config}
    (folder / "adapter_config.json").write_text(json.dumps(about))
    return tensors


def _llama_rows(w: np.ndarray, heads: int) -> np.ndarray:
    """The row order that llama.cpp's converter gives query and key: row 2i of a head is i, row 2i + 1 is i + half."""
    d = w.shape[0] // heads
    rows = [h * d + (i // 2 + (i % 2) * d // 2) for h in range(heads) for i in range(d)]
    return w[rows]


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_the_merged_weights_are_base_plus_scaled_product_in_the_rows_of_the_file(
    tmp_path: Path, architecture: str
) -> None:
    base = _base(tmp_path / "b.gguf", architecture)
    peft = _adapter(tmp_path / "a")
    adapter = read_adapter(tmp_path / "a", open_base(tmp_path / "b.gguf"))
    write_merged(adapter, open_base(tmp_path / "b.gguf"), tmp_path / "m.gguf", "same", {"ragbase.groups": "[]"})
    merged = {t.name: dequantize(t.data, t.tensor_type) for t in GGUFReader(tmp_path / "m.gguf").tensors}
    for target, stem, heads in (
        ("attn_q", "self_attn.q_proj", HEADS),
        ("attn_k", "self_attn.k_proj", KV),
        ("ffn_up", "mlp.up_proj", 0),
    ):
        name = f"base_model.model.model.layers.0.{stem}"
        delta = 2.0 * peft[f"{name}.lora_B.weight"] @ peft[f"{name}.lora_A.weight"]
        if architecture == "llama" and heads:
            delta = _llama_rows(delta, heads)
        np.testing.assert_allclose(merged[f"blk.0.{target}.weight"], base[f"blk.0.{target}.weight"] + delta, atol=1e-5)


def test_everything_else_of_the_base_stays(tmp_path: Path) -> None:
    _base(tmp_path / "b.gguf", "qwen2")
    _adapter(tmp_path / "a")
    write_merged(
        read_adapter(tmp_path / "a", open_base(tmp_path / "b.gguf")),
        open_base(tmp_path / "b.gguf"),
        tmp_path / "m.gguf",
        "q8_0",
        {},
    )
    reader = GGUFReader(tmp_path / "m.gguf")
    assert chat_template(open_base(tmp_path / "m.gguf")) == "{{ messages }}"
    assert reader.fields["tokenizer.ggml.tokens"].contents() == ["a", "字"]
    assert {t.tensor_type for t in reader.tensors} == {GGMLQuantizationType.Q8_0}


def test_eight_bits_lose_little_and_the_loss_is_told(tmp_path: Path) -> None:
    _base(tmp_path / "b.gguf", "qwen2")
    _adapter(tmp_path / "a")
    loss = write_merged(
        read_adapter(tmp_path / "a", open_base(tmp_path / "b.gguf")),
        open_base(tmp_path / "b.gguf"),
        tmp_path / "m.gguf",
        "q8_0",
        {},
    )
    assert 0 < loss["rms"] < 0.05
    assert loss["types"] == ["Q8_0"]


def test_the_adapter_file_says_what_llama_cpp_needs(tmp_path: Path) -> None:
    _base(tmp_path / "b.gguf", "qwen2")
    _adapter(tmp_path / "a", use_rslora=True)
    adapter = read_adapter(tmp_path / "a", open_base(tmp_path / "b.gguf"))
    write_adapter(adapter, tmp_path / "x.gguf", {})
    reader = GGUFReader(tmp_path / "x.gguf")
    assert reader.fields["general.type"].contents() == "adapter"
    assert reader.fields["adapter.type"].contents() == "lora"
    # llama.cpp divides alpha by the rank; rank-stabilised LoRA divides by its root, so the file carries alpha * sqrt(rank).
    assert reader.fields["adapter.lora.alpha"].contents() == pytest.approx(4 * 2**0.5)
    assert "blk.0.attn_q.weight.lora_a" in {t.name for t in reader.tensors}


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    _base(tmp_path / "b.gguf", "qwen2")
    peft = _adapter(tmp_path / "a")
    wide = {k: np.zeros((v.shape[0], 128), np.float32) if "lora_A" in k else v for k, v in peft.items()}
    save_file(wide, tmp_path / "a" / "adapter_model.safetensors")
    with pytest.raises(UsageError, match="trained on another base"):
        read_adapter(tmp_path / "a", open_base(tmp_path / "b.gguf"))
