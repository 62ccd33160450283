"""Seconds of a search over many chunks: `python -m tests.bench.retrieval_latency [--chunks 100000]`. See docs/bench/retrieval.md.

The chunks are generated (see `generated`), half of them marked Chinese so that both fields of one language and the field of all are there;
the questions are embedded by the real models, as the service does it. Times are of whole searches: question embedded, lists gathered, fused,
read, cleared of repeats, with and without the reranker.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import numpy as np

from rag.retrieval.fields import card, open_fields
from rag.retrieval.retriever import HybridRetriever
from rag.settings import Settings
from rag.storage.collection import Collection
from rag.storage.home import Home
from rag.storage.writer import Writer
from rag.types import Chunk, Document, SearchRequest
from tests.bench.generated import Texts, vectors

OF_A_DOCUMENT = 10
BATCH = 10_000
TOKENS = 150  # of a chunk, for the embedder


def build(home: Path, chunks: int, settings: Settings) -> Collection:
    """A collection of the default fields with generated chunks and vectors."""
    texts = Texts()
    collection = Home(home).create("bench", card(settings))
    with collection.writer() as writer:
        for start in range(0, chunks, BATCH):
            rows = np.concatenate(list(vectors(BATCH, 512, start)))
            for first in range(start, min(start + BATCH, chunks), OF_A_DOCUMENT):
                _put(writer, texts, first, rows[first - start : first - start + OF_A_DOCUMENT])
            writer.commit("bench")
    return collection


def _put(writer: Writer, texts: Texts, first: int, rows: np.ndarray) -> None:
    language = "zh" if (first // OF_A_DOCUMENT) % 2 else "en"
    parts = [texts.chunk(n) for n in range(first, first + len(rows))]
    ends = np.cumsum([len(p) + 1 for p in parts])
    name = f"d{first}"
    made = [
        Chunk(-1, name, p, (int(e) - 1 - len(p), int(e) - 1), language=language, content_hash=f"{first + i}")
        for i, (p, e) in enumerate(zip(parts, ends, strict=True))
    ]
    own, dim = ("bge-zh", 512) if language == "zh" else ("bge-en", 384)
    at = np.arange(len(made))

    def unit(dim: int) -> np.ndarray:
        cut = rows[:, :dim]
        return np.ascontiguousarray(cut / np.linalg.norm(cut, axis=1, keepdims=True), np.float32)

    document = Document(name, name, "\n".join(parts), f"{name}.txt", "/", name, language=language)
    writer.put(document, made, {own: (at, unit(dim)), "e5": (at, unit(384))})
    for c in made:
        writer.put_codes(c.content_hash, sha256(c.text.encode()).digest() * TOKENS)


def questions(count: int) -> list[str]:
    """Questions of 6 words out of the generated texts."""
    rng = np.random.default_rng(1)
    texts = Texts()
    return [
        " ".join(rng.choice(texts.chunk(int(n)).split(), 6, replace=False)) for n in rng.integers(0, 100_000, count)
    ]


def milliseconds(retriever: HybridRetriever, asked: list[str], rerank: bool) -> dict[str, float]:
    """p50 and p95 of whole searches."""
    spent = []
    for q in asked:
        started = time.perf_counter()
        retriever.search(SearchRequest(q, rerank=rerank))
        spent.append((time.perf_counter() - started) * 1000)
    return {"p50": round(float(np.percentile(spent, 50)), 1), "p95": round(float(np.percentile(spent, 95)), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.load(home=folder)
        collection = build(Path(folder), args.chunks, settings)
        retriever = HybridRetriever(collection, open_fields(collection.card, settings, lasting=True), settings)
        asked = questions(args.questions + 10)
        milliseconds(retriever, asked[:10], True)  # weights and files are read at the first ones
        found = {
            "chunks": args.chunks,
            "questions": args.questions,
            "without rerank, ms": milliseconds(retriever, asked[10:], False),
            "with rerank of 20, ms": milliseconds(retriever, asked[10:], True),
        }
        collection.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
