"""A BERT embedder on onnxruntime or OpenVINO: texts to unit vectors.

Word embeddings are read from the memory-mapped `model.safetensors`; only the rows that are asked for come into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelUnavailable
from rag.models import machine
from rag.models.batching import batches, side_by_side
from rag.models.bert_graph import GRAPH, WEIGHTS, tensor_offsets
from rag.models.unigram import FILE as PIECES
from rag.models.unigram import Unigram

Vectors = NDArray[np.float32]
SessionKind = Literal["onnx", "openvino", "openvino-bf16"]
BATCH_TOKENS = 2048
# Batches that onnxruntime runs at once, each on its share of the cores: two models are asked every question, and forty sentences take about
# two thirds of the time that all cores take on one batch after another.
LANES = 2
SHARE_TOKENS = 128  # least batch that is worth a lane of its own
QUICK_CHARACTERS = 4000  # up to here the quick tokenizer is faster than reading the library's in


class Session(Protocol):
    """What runs the graph."""

    def run(self, embeds: Vectors, mask: NDArray[np.int32]) -> Vectors:
        """(b, t, h) word rows and (b, t) mask, 1 for a token and 0 for padding, to (b, t, h) states."""
        ...


class BertEngine:
    """Thread-safe. `folder` holds core.onnx, model.safetensors and tokenizer.json."""

    def __init__(
        self,
        folder: Path,
        pooling: Literal["cls", "mean"],
        max_tokens: int,
        *,
        threads: int = 0,
        session: SessionKind = "onnx",
    ) -> None:
        self.pooling = pooling
        self.max_tokens = max_tokens
        self._folder = folder
        self._lock = Lock()
        self._library: Any = None
        self._quick = Unigram(folder / PIECES) if (folder / PIECES).exists() else None
        dtype, shape, offset, _ = tensor_offsets(folder / WEIGHTS)["embeddings.word_embeddings.weight"]
        if dtype != "F32":
            raise ModelUnavailable(
                f"{folder}: weights are {dtype}, this engine reads F32; use sentence-transformers for it"
            )
        self._words = np.memmap(folder / WEIGHTS, np.float32, "r", offset, shape)
        self._lanes, self._session = _open(session, folder / GRAPH, threads)

    def tokens(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Token ids of each text, special tokens in, cut at the model's length."""
        if self._quick is not None and self._library is None and sum(map(len, texts)) <= QUICK_CHARACTERS:
            ids = [self._quick.encode(t, self.max_tokens) for t in texts]
            if None not in ids:
                return [np.array(i, np.int32) for i in ids]
        return [np.array(e.ids, np.int32) for e in self._tokenizer().encode_batch_fast(list(texts))]

    def _tokenizer(self) -> Any:
        """The library's tokenizer, read when first needed."""
        from tokenizers import Tokenizer

        with self._lock:
            if self._library is None:
                library = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
                library.enable_truncation(self.max_tokens)
                library.no_padding()
                self._library = library
            return self._library

    def _special(self) -> frozenset[int]:
        if self._quick is not None:
            return frozenset(self._quick.special.values())
        decoder = self._tokenizer().get_added_tokens_decoder()
        return frozenset(i for i, token in decoder.items() if token.special)

    def embed(self, texts: Sequence[str], tokens: Callable[[int, Vectors], None] | None = None) -> Vectors:
        """(n, dim) float32 unit rows, in the order of `texts`; `tokens` is told each text's place and `token_vectors`."""
        out = np.zeros((len(texts), self._words.shape[1]), np.float32)
        for rows, ids, states, mask in self._run(self.tokens(texts)):
            if tokens is not None:
                for row, vectors in self._by_token(rows, ids, states):
                    tokens(row, vectors)
            if self.pooling == "cls":
                pooled = states[:, 0]
            else:
                pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            out[rows] = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
        return out

    def token_vectors(self, texts: Sequence[str]) -> list[Vectors]:
        """One (tokens, dim) array of unit rows per text, special tokens left out."""
        out: list[Vectors] = [np.zeros((0, self._words.shape[1]), np.float32)] * len(texts)
        for rows, ids, states, _ in self._run(self.tokens(texts)):
            for row, vectors in self._by_token(rows, ids, states):
                out[row] = vectors
        return out

    def _by_token(
        self, rows: list[int], ids: list[NDArray[np.int32]], states: Vectors
    ) -> Iterator[tuple[int, Vectors]]:
        special = self._special()
        for row, token_ids, state in zip(rows, ids, states, strict=True):
            kept = state[: len(token_ids)][[t not in special for t in token_ids.tolist()]]
            yield row, kept / np.maximum(np.linalg.norm(kept, axis=1, keepdims=True), 1e-12)

    def _run(
        self, ids: list[NDArray[np.int32]]
    ) -> Iterator[tuple[list[int], list[NDArray[np.int32]], Vectors, NDArray[np.int32]]]:
        """Batches: (rows, their ids, states (b, t, h), mask (b, t))."""
        lengths = [len(i) for i in ids]
        budget = BATCH_TOKENS
        if self._lanes > 1:  # small enough for the lanes to end together
            budget = min(budget, max(SHARE_TOKENS, sum(lengths) // (4 * self._lanes)))

        def run(rows: list[int]) -> tuple[list[int], list[NDArray[np.int32]], Vectors, NDArray[np.int32]]:
            group = [ids[r] for r in rows]
            width = max(map(len, group))
            table = np.zeros((len(group), width), np.int32)
            mask = np.zeros((len(group), width), np.int32)
            for i, row in enumerate(group):
                table[i, : len(row)] = row
                mask[i, : len(row)] = 1
            return rows, group, self._session.run(self._words[table], mask), mask

        todo = batches(lengths, budget)
        yield from map(run, todo) if self._lanes == 1 or len(todo) == 1 else side_by_side(run, todo, self._lanes)


def _open(kind: SessionKind, graph: Path, threads: int) -> tuple[int, Session]:
    """How many batches it runs at once, and the session."""
    if kind == "onnx":
        from rag.models.onnx_session import OnnxSession

        cores = threads or machine.cores()
        lanes = min(LANES, cores)
        return lanes, OnnxSession(graph, threads=cores // lanes)
    from rag.models.openvino_session import OpenvinoSession

    return 1, OpenvinoSession(graph, threads=threads, precision="bf16" if kind == "openvino-bf16" else "f32")
