#!/usr/bin/env python3
"""How often a gold answer stands in what the model is shown, and in how many tokens, by the budget.

    python tests/bench/context_bench.py [--data ../shared/data] [--n 120]

Hits are the first six of a plain BM25 over the set's paragraphs; no model is run.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections import defaultdict
from pathlib import Path
from statistics import mean, median
from typing import Any

from rank_bm25 import BM25Okapi

from rag.generation.context import select
from rag.index.tokenization import tokenize
from rag.types import Chunk, Hit

BUDGETS = (210, 420, 900)


def read(file: Path) -> list[dict[str, Any]]:
    """The lines of a .jsonl or .jsonl.gz file."""
    text = (
        file.read_text(encoding="utf-8") if file.exists() else gzip.decompress(Path(f"{file}.gz").read_bytes()).decode()
    )
    return [json.loads(line) for line in text.splitlines()]


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", type=Path, default=Path("../shared/data"))
    ap.add_argument("--n", type=int, default=120)
    ap.add_argument("--seed", type=int, default=5)
    args = ap.parse_args()
    for name in ("xquad_en", "cmrc2018", "xquad_zh"):
        corpus, queries = (read(args.data / name / f) for f in ("corpus.jsonl", "queries.jsonl"))
        index = BM25Okapi([tokenize(f"{d['title']} {d['text']}") for d in corpus])
        random.Random(args.seed).shuffle(queries)
        shown: dict[str, list[tuple[bool, int]]] = defaultdict(list)
        for q in queries[: args.n]:
            scores = index.get_scores(tokenize(q["query"]))
            best = sorted(range(len(corpus)), key=lambda i: -scores[i])[:6]
            hits = [_hit(rank, corpus[i]) for rank, i in enumerate(best, 1)]
            for budget in BUDGETS:
                for way, filled in (("what stands out", False), ("filled", True)):
                    context = select(q["query"], hits, budget, several=filled)
                    found = any(a in s.text for a in q["answers"] for s in context.sources)
                    shown[f"{budget} tokens, {way}"].append((found, context.tokens))
        for way, rows in shown.items():
            right, tokens = zip(*rows, strict=True)
            line = {"set": name, "n": len(rows), "budget": way, "shown": round(sum(right) / len(rows), 3)}
            print(json.dumps(line | {"median tokens": int(median(tokens)), "mean tokens": round(mean(tokens))}))


def _hit(rank: int, d: dict[str, Any]) -> Hit:
    chunk = Chunk(rank, d["id"], d["text"], (0, len(d["text"])), title=d["title"])
    return Hit(chunk, 1 / rank, rank, d["title"], d["id"])


if __name__ == "__main__":
    main()
