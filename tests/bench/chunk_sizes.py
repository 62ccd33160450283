"""Chunk sizes by measurement: nDCG@10 of documents, keyword and dense, for several sizes of chunks on BEIR-style folders.

    python -m tests.bench.chunk_sizes ../shared/data/handbook ../shared/data/financebench [--limit-documents N]

A document's score is that of its best chunk. Dense = the BGE of the set's language. Prints one JSON document a line as it goes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
from ir_measures import nDCG

from ingest.chunking import ChunkSizes, chunk
from ingest.documents import to_document
from ingest.parsed import Limits, TextBuilder
from ingest.readers.text import add_paragraphs
from rag.index.text import indexed_text
from rag.index.tokenization import tokenize
from rag.retrieval.embedding import load_embedder
from rag.settings import Settings
from rag.types import Chunk

SIZES = {
    "small": ChunkSizes(40, 110, 140, 200),
    "medium": ChunkSizes(70, 180, 240, 320),
    "default without whole sections": ChunkSizes(110, 260, 260, 420),
    "default": ChunkSizes(),
    "large": ChunkSizes(180, 400, 400, 440),
}


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    """A JSON lines file, gzipped or not."""
    file = folder / f"{name}.jsonl"
    data = file.read_bytes() if file.exists() else gzip.decompress(file.with_suffix(".jsonl.gz").read_bytes())
    return [json.loads(line) for line in data.decode().splitlines() if line.strip()]


def chunks_of(folder: Path, sizes: ChunkSizes, wanted: set[str] | None) -> list[Chunk]:
    """The corpus cut into chunks; `document` is the id of the corpus."""
    found = []
    for row in rows(folder, "corpus"):
        if not row["text"].strip() or (wanted is not None and row["id"] not in wanted):
            continue
        builder = TextBuilder(Limits())
        add_paragraphs(builder, row["text"])
        document = to_document(
            builder.build("record", row.get("title") or "x"), "records", row["id"], frozenset(), None
        )
        for c in chunk(document, sizes):
            found.append((row["id"], c))
    return [Chunk(-1, i, c.text, c.span, heading=c.heading, title=c.title, language=c.language) for i, c in found]


def best_documents(scores: Any, chunks: Sequence[Chunk], k: int = 10) -> dict[str, float]:
    """The k best documents by their best chunk."""
    best: dict[str, float] = defaultdict(lambda: -np.inf)
    for score, c in zip(scores, chunks, strict=True):
        best[c.document] = max(best[c.document], float(score))
    return dict(sorted(best.items(), key=lambda kv: (-kv[1], kv[0]))[:k])


def ndcg(runs: dict[str, dict[str, float]], qrels: list[ir_measures.Qrel]) -> float:
    """Mean nDCG@10; a question without results counts as 0."""
    run = [ir_measures.ScoredDoc(q, d, s) for q, docs in runs.items() for d, s in docs.items()]
    return float(ir_measures.calc_aggregate([nDCG @ 10], qrels, run)[nDCG @ 10])


def main() -> int:
    from rank_bm25 import BM25Okapi

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--limit-documents", type=int, default=0)
    args = parser.parse_args()
    settings = Settings.load()
    for folder in args.folders:
        queries = rows(folder, "queries")
        lines = (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]
        qrels = [ir_measures.Qrel(q, d, int(r)) for q, d, r in (line.split("\t") for line in lines)]
        wanted = None
        if args.limit_documents:
            gold = {q.doc_id for q in qrels}
            others = [r["id"] for r in rows(folder, "corpus") if r["id"] not in gold]
            wanted = gold | set(others[: max(0, args.limit_documents - len(gold))])
        chinese = queries[0].get("lang") == "zh"
        embedder = load_embedder("bge-small-zh-v1.5" if chinese else "bge-small-en-v1.5", settings, bulk=True)
        questions = {q["id"]: embedder.embed_question(q["query"]) for q in queries}
        for name, sizes in SIZES.items():
            chunks = chunks_of(folder, sizes, wanted)
            keyword = BM25Okapi([tokenize(indexed_text(c)) for c in chunks])
            vectors = embedder.embed_passages([indexed_text(c) for c in chunks])
            runs: dict[str, dict[str, dict[str, float]]] = {"keyword": {}, "dense": {}, "rrf": {}}
            for q in queries:
                k = keyword.get_scores(tokenize(q["query"]))
                d = vectors @ questions[q["id"]]
                runs["keyword"][q["id"]] = best_documents(k, chunks)
                runs["dense"][q["id"]] = best_documents(d, chunks)
                fused = np.zeros(len(chunks))
                for scores in (k, d):
                    fused[np.argsort(-scores, kind="stable")] += 1 / (60 + np.arange(len(chunks)))
                runs["rrf"][q["id"]] = best_documents(fused, chunks)
            figures = {how: round(ndcg(run, qrels), 4) for how, run in runs.items()}
            row = {"set": folder.name, "sizes": name, "chunks": len(chunks), "questions": len(queries), **figures}
            sys.stdout.write(json.dumps(row) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
