"""Figures of the store: `python -m tests.bench.store_bench [--chunks N] [--folder DIR]`. See docs/bench/store.md.

Keyword search beside rank_bm25 and bm25s, dense and hybrid latency without the embedding of the question, recall inside allowed sets, opening
after a restart, peak memory, and how soon new documents are seen. Each part that measures memory or opening runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from rag.index.tokenization import tokenize
from rag.storage import writer as writer_module
from rag.storage.card import Card, FieldCard
from rag.storage.home import Home
from rag.types import Chunk, Document
from tests.bench.generated import Texts, vectors

DIM = 384
CHUNKS_OF_A_DOCUMENT = 10
BATCH = 20_000
TOKENS = 150  # of a chunk, for the embedder
CARD = Card((FieldCard("toy", "toy", ("*",), DIM),), "generated")


def documents(texts: Texts, first: int, rows: np.ndarray) -> list[tuple[Document, list[Chunk], dict[str, Any]]]:
    """Documents of 10 chunks over these vectors, the first chunk having this number."""
    found = []
    for start in range(0, len(rows), CHUNKS_OF_A_DOCUMENT):
        numbers = range(first + start, first + min(start + CHUNKS_OF_A_DOCUMENT, len(rows)))
        parts = [texts.chunk(n) for n in numbers]
        ends = np.cumsum([len(p) + 1 for p in parts])
        document = f"d{numbers[0]}"
        chunks = [
            Chunk(-1, document, part, (int(end) - 1 - len(part), int(end) - 1), content_hash=f"{n}")
            for n, part, end in zip(numbers, parts, ends, strict=True)
        ]
        # One document in a thousand is of group g0.1, one in ten of g10, ...: allowed sets of every size.
        number = numbers[0] // CHUNKS_OF_A_DOCUMENT
        groups = {"all"} | {
            g for g, every in (("g0.1", 1000), ("g1", 100), ("g10", 10), ("g50", 2)) if number % every == 0
        }
        found.append(
            (
                Document(
                    document, document, "\n".join(parts), f"{document}.txt", "/", document, groups=frozenset(groups)
                ),
                chunks,
                {"toy": (np.arange(len(chunks)), rows[start : start + len(chunks)])},
            )
        )
    return found


def put(writer: writer_module.Writer, document: Document, chunks: list[Chunk], found: dict[str, Any]) -> None:
    """Stages a document as ingestion does, with token codes of the usual size."""
    writer.put(document, chunks, found)
    for c in chunks:
        writer.put_codes(c.content_hash, sha256(c.text.encode()).digest() * TOKENS)


def build(folder: Path, count: int, seconds: float) -> dict[str, Any]:
    """Makes the collection, or goes on with it, for at most about so many seconds; chunks so far, and segments after compaction."""
    texts = Texts()
    # The texts repeat every 100,000 chunks, their tokens with them; the vectors do not.
    writer_module.tokenize = lru_cache(maxsize=None)(tokenize)  # type: ignore[attr-defined]
    started = time.perf_counter()
    home = Home(folder)
    collection = home.open("bench") if home.exists("bench") else home.create("bench", CARD)
    first = collection.generations()[-1].chunks
    with collection.writer() as writer:
        for number, rows in enumerate(vectors(count, DIM, block=BATCH)):
            if number * BATCH < first:
                continue
            if time.perf_counter() - started > seconds:
                break
            for document, chunks, found in documents(texts, first, rows):
                put(writer, document, chunks, found)
            first += len(rows)
            writer.commit()
    if first == count:
        collection.compact()
    result = {"seconds": time.perf_counter() - started, "chunks": first, "segments": collection.segment_count()}
    collection.close()
    return result


def measure(folder: Path, count: int, queries: int) -> dict[str, Any]:
    """Opening and searching, in this fresh process."""
    import psutil

    texts = Texts()
    questions = texts.questions(queries + 50, count)
    tokens = [tokenize(q) for q in questions]
    query_vectors = next(vectors(queries + 50, DIM, seed=5))
    started = time.perf_counter()
    collection = Home(folder).open("bench")
    snapshot = collection.snapshot()
    everything = snapshot.allowed(None)
    first = snapshot.keyword(tokens[0], everything, 10)
    assert len(first)
    snapshot.dense("toy", query_vectors[0], everything, 10)
    result: dict[str, Any] = {"open_seconds": time.perf_counter() - started, "segments": collection.segment_count()}

    def each(search: Callable[[int], object]) -> dict[str, float]:
        for i in range(50):
            search(i)
        took, cpu = [], time.process_time()
        for i in range(50, queries + 50):
            at = time.perf_counter()
            search(i)
            took.append(time.perf_counter() - at)
        ms = np.array(took) * 1e3
        cpu = (time.process_time() - cpu) * 1e3 / queries
        return {
            "p50_ms": float(np.median(ms)),
            "p95_ms": float(np.percentile(ms, 95)),
            "queries_per_second": float(1e3 / ms.mean()),
            "cpu_ms": cpu,
        }

    def hybrid(i: int) -> list[Chunk]:
        keyword = snapshot.keyword(tokens[i], everything, 100)
        dense = snapshot.dense("toy", query_vectors[i], everything, 100)
        score: dict[int, float] = {}
        for ranking in (keyword, dense):
            for rank, chunk in enumerate(ranking.ids.tolist()):
                score[chunk] = score.get(chunk, 0.0) + 1 / (60 + rank)
        return snapshot.chunks(sorted(score, key=lambda c: -score[c])[:10])

    result["keyword"] = each(lambda i: snapshot.keyword(tokens[i], everything, 10))
    result["dense"] = each(lambda i: snapshot.dense("toy", query_vectors[i], everything, 10))
    result["hybrid"] = each(hybrid)
    result["peak_memory_mb"] = psutil.Process().memory_info().rss / 1e6  # nothing is freed before here
    result["peak_anonymous_mb"] = _peak_anonymous()
    result["recall"] = {
        group: _recall(snapshot, snapshot.allowed(groups), query_vectors[:200])
        for group, groups in [("all", None), *((g, frozenset({g})) for g in ("g50", "g10", "g1", "g0.1"))]
    }
    collection.close()
    return result


def _recall(snapshot: Any, allowed: Any, queries: np.ndarray) -> dict[str, float]:
    """Recall@10 against a product with every vector of the allowed set."""
    ids = np.concatenate([s.ids[m] for s, m in zip(snapshot._segments, allowed.masks, strict=True)])
    best = np.full((len(queries), 10), -np.inf, np.float32)
    for start in range(0, len(ids), 100_000):
        scores = queries @ snapshot.vectors("toy", ids[start : start + 100_000]).T
        best = -np.sort(-np.concatenate([best, scores], axis=1), axis=1)[:, :10]
    took, hits = [], 0
    for query, truth in zip(queries, best, strict=True):
        at = time.perf_counter()
        found = snapshot.dense("toy", query, allowed, 10)
        took.append(time.perf_counter() - at)
        hits += int((found.scores >= truth[-1] - 1e-5).sum())
    wanted = sum(int(np.isfinite(t).sum()) for t in best)
    return {"allowed": len(ids), "recall@10": min(1.0, hits / wanted), "p95_ms": float(np.percentile(took, 95) * 1e3)}


def peers(count: int, queries: int) -> dict[str, Any]:
    """Keyword search of rank_bm25 and bm25s over the same tokens, and ours beside them in the same process."""
    import bm25s
    from rank_bm25 import BM25Okapi

    from rag.index import postings
    from rag.index.keyword import KeywordScorer

    texts = Texts()
    corpus = [texts.chunk(i).split() for i in range(count)]
    tokens = [q.split() for q in texts.questions(queries, count)]
    result: dict[str, Any] = {}

    scorer = KeywordScorer([postings.build(corpus)], [np.arange(count)], [np.ones(count, bool)])
    result["ours"] = _rate(lambda q: scorer.search(q, 10), tokens)

    model = bm25s.BM25(method="lucene")
    model.index(corpus, show_progress=False)
    result["bm25s"] = _rate(lambda q: model.retrieve([q], k=10, show_progress=False, n_threads=0), tokens)

    okapi = BM25Okapi(corpus)
    # Its get_top_n sorts all scores; the partition here is kinder to it.
    result["rank_bm25"] = _rate(lambda q: np.argpartition(okapi.get_scores(q), -10)[-10:], tokens[:30])
    result["times_rank_bm25"] = result["ours"] / result["rank_bm25"]
    result["times_bm25s"] = result["ours"] / result["bm25s"]
    return result


def _rate(search: Callable[[list[str]], object], queries: list[list[str]]) -> float:
    """Queries a second of processor time, so that other work on the machine does not count against whoever runs beside it."""
    for q in queries[: len(queries) // 10]:
        search(q)
    started = time.process_time()
    for q in queries:
        search(q)
    return len(queries) / (time.process_time() - started)


def add(folder: Path, count: int) -> dict[str, Any]:
    """Adding 100 documents to the collection: seconds until another reader sees them, and bytes written."""
    texts = Texts()
    reader = Home(folder).open("bench")
    reader.snapshot().allowed(None)
    collection = Home(folder).open("bench")
    new = documents(texts, count + 1_000_000, next(vectors(100 * CHUNKS_OF_A_DOCUMENT, DIM, seed=9)))
    before = {f.name for f in collection.segment_folder.iterdir()}
    started = time.perf_counter()
    with collection.writer() as writer:
        for document, chunks, found in new:
            put(writer, document, chunks, found)
        writer.commit()
    snapshot = reader.snapshot()
    words = tokenize(new[50][1][3].text)[:12]
    hits = snapshot.keyword(words, snapshot.allowed(None), 10)
    took = time.perf_counter() - started
    assert any(c.document == new[50][0].id for c in snapshot.chunks(hits.ids)), "the new document is not found"
    written = sum(f.stat().st_size for f in collection.segment_folder.iterdir() if f.name not in before)
    whole = sum(f.stat().st_size for f in collection.segment_folder.iterdir())
    collection.close()
    reader.close()
    return {"documents": 100, "seconds_until_visible": took, "bytes_written": written, "bytes_of_all_segments": whole}


def _peak_anonymous() -> float:
    """MB of private memory now: what is not merely a mapped file that the system can drop at will."""
    text = Path("/proc/self/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Anonymous:")) / 1e3


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="keep the collection here, and use it when it is there")
    parser.add_argument(
        "--seconds", type=float, default=1e9, help="end the part `build` after this; run it again to go on"
    )
    parser.add_argument("--part", choices=["build", "measure", "peers", "add"], help="only this, in this process")
    args = parser.parse_args(argv)
    if args.part:
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "build": lambda: build(args.folder, args.chunks, args.seconds),
            "measure": lambda: measure(args.folder, args.chunks, args.queries),
            "peers": lambda: peers(args.chunks, args.queries),
            "add": lambda: add(args.folder, args.chunks),
        }
        print(json.dumps(parts[args.part]()))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        result: dict[str, Any] = {"chunks": args.chunks, "dim": DIM, "queries": args.queries}
        wanted = ["build"] if not Home(folder).exists("bench") else []
        wanted += ["measure", "add"] + (["peers"] if args.chunks <= 200_000 else [])
        for part in wanted:
            command = [sys.executable, "-m", "tests.bench.store_bench", "--part", part, "--folder", str(folder)]
            command += ["--chunks", str(args.chunks), "--queries", str(args.queries)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            result[part] = json.loads(done.stdout)
            sys.stderr.write(f"{part}: {done.stdout}")
        print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
