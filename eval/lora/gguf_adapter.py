"""A PEFT adapter in GGUF: as an adapter file that llama.cpp puts beside the base, and merged into a copy of the base.

Home of writing GGUF. llama.cpp stores the query and key rows of the llama architecture in another order (the two halves of each
head interleaved), so the B matrices of those projections are reordered likewise; Qwen2 keeps the framework's order.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rag.errors import UsageError

if TYPE_CHECKING:
    from gguf import GGUFReader

Matrix = NDArray[np.float32]
Quantization = Literal["q8_0", "same", "f16"]

_TARGETS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_NAME = re.compile(r"layers\.(\d+)\.(\w+\.\w+)\.lora_([AB])\.weight$")
ARCHITECTURES = ("llama", "qwen2")


@dataclass(frozen=True, slots=True)
class Adapter:
    """Low-rank matrices by GGUF tensor: delta = scale * B @ A, in the row order of the GGUF."""

    architecture: str
    rank: int
    alpha: float  # as llama.cpp reads it: scale = alpha / rank
    matrices: Mapping[str, tuple[Matrix, Matrix]]  # "blk.0.attn_q.weight" -> A (rank, in), B (out, rank)

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


def open_base(file: Path) -> GGUFReader:
    """The GGUF file of a base, read for the functions below; reading takes seconds, so it is done once."""
    from gguf import GGUFReader

    return GGUFReader(file)


def read_adapter(folder: Path, reader: GGUFReader) -> Adapter:
    """The adapter of a PEFT folder, for the base in `reader`. Raises UsageError when the two do not fit."""
    from safetensors.numpy import load_file

    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "adapter_model.safetensors")
    except FileNotFoundError as e:
        raise UsageError(
            f"{folder}: {Path(str(e.filename)).name} is missing; train with `rag tune train --out {folder}`"
        ) from e
    if config.get("peft_type") != "LORA":
        raise UsageError(f"{folder}: a {config.get('peft_type')} adapter cannot be exported; only LORA can")
    architecture = str(_field(reader, "general.architecture"))
    if architecture not in ARCHITECTURES:
        raise UsageError(f"adapters for the architecture {architecture} cannot be exported, only {ARCHITECTURES}")
    heads = int(_field(reader, f"{architecture}.attention.head_count"))
    kv_heads = int(_field(reader, f"{architecture}.attention.head_count_kv"))
    halves: dict[str, dict[str, Matrix]] = {}
    for name, value in tensors.items():
        match = _NAME.search(name)
        if match is None or match[2] not in _TARGETS:
            raise UsageError(f"{folder}: the tensor {name} has no place in a GGUF file; train with the default targets")
        target = f"blk.{match[1]}.{_TARGETS[match[2]]}.weight"
        halves.setdefault(target, {})[match[3]] = value.astype(np.float32)
    shapes = {t.name: tuple(int(n) for n in reversed(t.shape)) for t in reader.tensors}
    matrices: dict[str, tuple[Matrix, Matrix]] = {}
    for target, pair in sorted(halves.items()):
        a, b = pair["A"], pair["B"]
        if shapes.get(target) != (b.shape[0], a.shape[1]):
            raise UsageError(
                f"{folder}: {target} is {b.shape[0]} x {a.shape[1]} in the adapter and {shapes.get(target)} in the base: "
                "it was trained on another base"
            )
        if architecture == "llama" and ".attn_q." in target:
            b = _interleave(b, heads)
        elif architecture == "llama" and ".attn_k." in target:
            b = _interleave(b, kv_heads)
        matrices[target] = (a, np.ascontiguousarray(b))
    rank = int(config["r"])
    alpha = float(config["lora_alpha"]) * (math.sqrt(rank) if config.get("use_rslora") else 1.0)
    return Adapter(architecture, rank, alpha, matrices)


def write_adapter(adapter: Adapter, file: Path, facts: Mapping[str, str]) -> None:
    """Writes the adapter for `llama-server --lora` and the embedded generator. `facts` become metadata strings."""
    from gguf import GGUFWriter

    writer = GGUFWriter(file, adapter.architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", adapter.alpha)
    for key, value in facts.items():
        writer.add_string(key, value)
    for target, (a, b) in adapter.matrices.items():
        writer.add_tensor(f"{target}.lora_a", a)
        writer.add_tensor(f"{target}.lora_b", b)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_merged(
    adapter: Adapter, reader: GGUFReader, file: Path, quantization: Quantization, facts: Mapping[str, str]
) -> dict[str, Any]:
    """Writes the base with the adapter added to its weights; tokenizer, chat template and untouched tensors stay as they are.

    Touched tensors become Q8_0 by default: the changes are small against the steps of 4 bits, which would swallow them. "same"
    keeps the base's type where gguf can write it. Returns the error made by quantizing: {"rms", "relative_to_change", "types"}.
    """
    from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter
    from gguf.quants import dequantize, quantize

    writer = GGUFWriter(file, adapter.architecture)
    skipped = {"general.architecture", "general.file_type", *facts}
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in skipped:
            continue
        kind = field.types[0]
        writer.add_key_value(
            field.name, field.contents(), kind, sub_type=field.types[-1] if kind == GGUFValueType.ARRAY else None
        )
    writer.add_file_type(
        7 if quantization == "q8_0" else 1 if quantization == "f16" else int(_field(reader, "general.file_type"))
    )
    for key, value in facts.items():
        writer.add_string(key, value)
    types = {t.name: _type_for(t.tensor_type, t.name in adapter.matrices, quantization) for t in reader.tensors}
    kinds = GGMLQuantizationType
    error, change, count = 0.0, 0.0, 0
    for t in reader.tensors:
        if t.name not in adapter.matrices:
            writer.add_tensor(t.name, t.data, raw_dtype=t.tensor_type)
            continue
        a, b = adapter.matrices[t.name]
        delta = adapter.scale * (b @ a)
        merged = dequantize(t.data, t.tensor_type).reshape(delta.shape) + delta
        stored = quantize(merged, types[t.name])
        difference = dequantize(stored, types[t.name]).reshape(delta.shape) - merged
        error += float(np.square(difference).sum())
        change += float(np.square(delta).sum())
        count += delta.size
        writer.add_tensor(t.name, stored, raw_dtype=types[t.name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return {
        "rms": math.sqrt(error / max(1, count)),
        "relative_to_change": math.sqrt(error / change) if change else None,
        "types": sorted({kinds(types[n]).name for n in adapter.matrices}),
    }


def chat_template(reader: GGUFReader) -> str:
    """The chat template in a GGUF file. Raises UsageError when there is none."""
    found = reader.fields.get("tokenizer.chat_template")
    if found is None:
        raise UsageError("the base has no chat template; take an instruct model")
    return str(found.contents())


def _type_for(current: Any, touched: bool, quantization: Quantization) -> Any:
    from gguf import GGMLQuantizationType as Kind

    if not touched:
        return current
    if quantization == "f16":
        return Kind.F16
    writable = (Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q5_1, Kind.Q8_0, Kind.F16, Kind.F32, Kind.BF16)
    return current if quantization == "same" and current in writable else Kind.Q8_0


def _interleave(rows: Matrix, heads: int) -> Matrix:
    """Rows (heads * d, r) from "first half, second half" of each head to alternating, as llama.cpp's converter does."""
    d = rows.shape[0] // heads
    return rows.reshape(heads, 2, d // 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def _field(reader: GGUFReader, name: str) -> Any:
    found = reader.fields.get(name)
    if found is None:
        raise UsageError(f"the base's GGUF file has no {name}; fetch it again with `rag models pull`")
    return found.contents()
