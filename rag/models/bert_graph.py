"""A BERT encoder as an ONNX graph beside a `model.safetensors`, pointing into that file for its weights.

Nothing is stored twice, and the word embeddings are not in the graph at all: the caller looks up the rows it needs in the
memory-mapped table and feeds `inputs_embeds`, so that a vocabulary of 250,000 costs no memory. The home of onnx, with
bert_weights.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.models.bert_weights import BertShape

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto

GRAPH = "core.onnx"
WEIGHTS = "model.safetensors"
OPSET = 20
CONTRIB = "com.microsoft"


def tensor_offsets(path: Path) -> dict[str, tuple[str, tuple[int, ...], int, int]]:
    """name -> (dtype, shape, first byte in the file, bytes) of every tensor of a safetensors file."""
    with path.open("rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(length))
    start = 8 + length
    return {
        name: (t["dtype"], tuple(t["shape"]), start + t["data_offsets"][0], t["data_offsets"][1] - t["data_offsets"][0])
        for name, t in header.items()
        if name != "__metadata__"
    }


class _Builder:
    """Collects nodes, and initializers that point into the weights."""

    def __init__(self, weights: Path) -> None:
        self.tensors = tensor_offsets(weights)
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []

    def weight(self, name: str) -> str:
        from onnx import TensorProto

        if any(i.name == name for i in self.initializers):
            return name
        _, shape, offset, length = self.tensors[name]
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
        for key, value in (("location", WEIGHTS), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        self.initializers.append(tensor)
        return name

    def constant(self, name: str, value: object, dtype: type) -> str:
        from onnx import numpy_helper

        if not any(i.name == name for i in self.initializers):
            self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, op: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def linear(self, x: str, name: str, output: str) -> str:
        """x (rows, in) @ weight.T + bias, (rows, out)."""
        return self.add("Gemm", [x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")], output, transB=1)

    def norm(self, x: str, skip: str, name: str, output: str, eps: float) -> str:
        """LayerNorm(x + skip)."""
        parts = [self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
        return self.add("SkipLayerNormalization", [x, skip, *parts], output, CONTRIB, epsilon=eps)


def write_graph(folder: Path, shape: BertShape) -> Path:
    """Writes `folder`/core.onnx for `folder`/model.safetensors (BertModel names, float32).

    Inputs: inputs_embeds (batch, tokens, hidden) float32, mask (batch, tokens) int32, 1 for a token and 0 for padding, which
    comes last. Output: states (batch, tokens, hidden) float32.
    """
    from onnx import TensorProto, helper, save

    build = _Builder(folder / WEIGHTS)
    hidden = build.tensors["embeddings.LayerNorm.weight"][1][0]
    layers = 1 + max(int(n.split(".")[2]) for n in build.tensors if n.startswith("encoder.layer."))
    graph_output = _encoder(build, hidden, layers, shape)
    graph: GraphProto = helper.make_graph(
        build.nodes,
        "bert",
        [
            helper.make_tensor_value_info("inputs_embeds", TensorProto.FLOAT, ["batch", "tokens", hidden]),
            helper.make_tensor_value_info("mask", TensorProto.INT32, ["batch", "tokens"]),
        ],
        [helper.make_tensor_value_info(graph_output, TensorProto.FLOAT, ["batch", "tokens", hidden])],
        build.initializers,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="ragbase")
    save(model, str(folder / GRAPH))
    return folder / GRAPH


def _encoder(build: _Builder, hidden: int, layers: int, shape: BertShape) -> str:
    """Adds the nodes of the whole network; gives the name of its output."""
    add, constant = build.add, build.constant
    flat = constant("flat", [-1, hidden], np.int64)
    # Word rows (b, t, h) + the first t rows of the position table + type 0.
    add("Shape", ["inputs_embeds"], "length", start=1, end=2)
    first = constant("first", [shape.first_position], np.int64)
    add("Add", ["length", first], "last")
    add("Slice", [build.weight("embeddings.position_embeddings.weight"), first, "last"], "positions")
    zero = constant("zero", [0], np.int64)
    add(
        "Slice", [build.weight("embeddings.token_type_embeddings.weight"), zero, constant("one", [1], np.int64)], "type"
    )
    add("Add", ["positions", "type"], "places")
    add("Add", ["inputs_embeds", "places"], "embedded")
    norm = [build.weight("embeddings.LayerNorm.weight"), build.weight("embeddings.LayerNorm.bias")]
    add("LayerNormalization", ["embedded", *norm], "normed", epsilon=shape.eps)
    x = add("Reshape", ["normed", flat], "x")  # (b * t, h): a matrix product of one batch, whatever its shape
    add("Shape", ["inputs_embeds"], "cube")
    for n in range(layers):
        p = f"encoder.layer.{n}"
        heads = []
        for role in ("query", "key", "value"):
            row = build.linear(x, f"{p}.attention.self.{role}", f"{p}/{role}")
            heads.append(add("Reshape", [row, "cube"], f"{p}/{role}/cube"))
        seen = add("MultiHeadAttention", [*heads, "", "mask"], f"{p}/seen", CONTRIB, num_heads=shape.heads)
        seen = add("Reshape", [seen, flat], f"{p}/seen/flat")
        attended = build.linear(seen, f"{p}.attention.output.dense", f"{p}/attended")
        x = build.norm(attended, x, f"{p}.attention.output.LayerNorm", f"{p}/middle", shape.eps)
        wide = build.linear(x, f"{p}.intermediate.dense", f"{p}/wide")
        wide = add("Gelu", [wide], f"{p}/gelu")
        narrow = build.linear(wide, f"{p}.output.dense", f"{p}/narrow")
        x = build.norm(narrow, x, f"{p}.output.LayerNorm", f"{p}/out", shape.eps)
    return add("Reshape", [x, "cube"], "states")
