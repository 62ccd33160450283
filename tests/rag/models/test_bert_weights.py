"""Weights out of other containers, written here by hand."""

import struct
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from rag.errors import BadWeights
from rag.models.bert_weights import from_e5, from_onnx


def test_anonymous_matrices_get_the_name_of_their_node_and_are_turned(tmp_path: Path) -> None:
    matrix = np.array([[1, 2, 3], [4, 5, 6]], np.float32)  # (in, out)
    bias = np.array([7, 8, 9], np.float32)
    name = "/encoder/layer.0/attention/self/query"
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "onnx::MatMul_541"], ["y"], name=f"{name}/MatMul"),
            helper.make_node("Add", ["encoder.layer.0.attention.self.query.bias", "y"], ["z"], name=f"{name}/Add"),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 3])],
        [
            numpy_helper.from_array(matrix, "onnx::MatMul_541"),
            numpy_helper.from_array(bias, "encoder.layer.0.attention.self.query.bias"),
        ],
    )
    save(helper.make_model(graph), str(tmp_path / "m.onnx"))
    state = from_onnx(tmp_path / "m.onnx")
    assert set(state) == {f"encoder.layer.0.attention.self.query.{k}" for k in ("weight", "bias")}
    np.testing.assert_array_equal(state["encoder.layer.0.attention.self.query.weight"], matrix.T)


def e5_file() -> bytes:
    """One layer's norm in float32 and one 32-wide row in Q4_0: scale 0.5, nibbles 0..15 low, 15..0 high."""
    norm = np.arange(32, dtype=np.float32)
    low, high = np.arange(16, dtype=np.uint8), np.arange(15, -1, -1, dtype=np.uint8)
    row = np.float16(0.5).tobytes() + (low | (high << 4)).tobytes()
    pieces = [b"<s>", "▁中".encode()]
    blob = b"".join(pieces)
    head = b"E5S1" + struct.pack("<I7ifi", 1, 32, 1, 2, 32, 1, 1, 2, 1e-12, 32)
    head += struct.pack("<iiiiiQ", 2, 0, 2, 1, 3, len(blob))
    head += struct.pack("<3I", 0, 3, len(blob)) + struct.pack("<2f", 0.0, -1.5) + blob
    head += struct.pack("<iI", 1, 4) + b"skip"
    entries = [(b"emb.word", 2, 32, row), (b"l0.oln.w", 0, 32, norm.tobytes())]
    size = len(head) + 4 + sum(2 + len(n) + 1 + 4 + 8 + 8 for n, *_ in entries)
    directory, data = struct.pack("<i", len(entries)), b""
    for name, dtype, count, payload in entries:
        directory += struct.pack("<H", len(name)) + name
        directory += struct.pack("<BIQQ", dtype, count, size + len(data), len(payload))
        data += payload
    return head + directory + data


def test_an_e5_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "e5.bin").write_bytes(e5_file())
    found = from_e5(tmp_path / "e5.bin")
    assert found.pieces == (("<s>", 0.0), ("▁中", -1.5))
    assert (found.shape.heads, found.unknown) == (2, 3)
    words = found.state["embeddings.word_embeddings.weight"]
    assert words.shape == (1, 32)
    # Q4_0: (nibble - 8) x scale, the low halves first
    np.testing.assert_array_equal(words[0, :16], (np.arange(16) - 8) * 0.5)
    np.testing.assert_array_equal(words[0, 16:], (np.arange(15, -1, -1) - 8) * 0.5)
    np.testing.assert_array_equal(found.state["encoder.layer.0.output.LayerNorm.weight"], np.arange(32))


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e5.bin").write_bytes(b"GGUF....")
    with pytest.raises(BadWeights, match="not with E5S1"):
        from_e5(tmp_path / "e5.bin")
