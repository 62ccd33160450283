"""Every figure of docs/benchmarks.md: `python -m tests.bench [PART...] [--data DIR] [--peer FILE]`; `--list` names the parts.

Parts run one after another, each in a process of its own, with full counts: all of them take hours on two cores. A part that needs judged sets
or the plain chain to compare with says so and is left out when they are not given.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

# name -> (what it shows, arguments after `python`); {data} and {peer} must be given for the parts that name them.
PARTS: dict[str, tuple[str, list[str]]] = {
    "embedding": ("engines against plain sentence-transformers", ["-m", "tests.bench.embedding"]),
    "store": ("BM25, vectors and hybrid at 100,000 chunks", ["-m", "tests.bench.store_bench"]),
    "store-million": ("the same at 1,000,000", ["-m", "tests.bench.store_bench", "--chunks", "1000000"]),
    "latency": ("a search at 100,000 chunks", ["-m", "tests.bench.retrieval_latency"]),
    "pdf": ("PDF reading", ["-m", "tests.bench.ingest_pdf", "{data}/financebench"]),
    "ingest": (
        "the whole pipeline beside the plain chain",
        ["-m", "tests.bench.ingest_throughput", "{data}/handbook/files", "--peer", "{peer}"],
    ),
    "chunks": ("chunk sizes", ["-m", "tests.bench.chunk_sizes", "{data}/handbook", "{data}/handbook_zh"]),
    **{
        f"retrieval-{name}": (
            f"ranking on {name}",
            ["-m", "rag.cli", "eval", "retrieval", "--dataset", f"{{data}}/{name}", "--runs", "bm25,dense,hybrid,rerank",
             "--home", "{scratch}/home", "--out", f"{{scratch}}/{name}"],
        )
        for name in ("handbook", "handbook_zh", "cranfield", "financebench", "xquad_en", "xquad_zh", "cmrc2018")
    },
    "first-token": ("first token beside the plain chain", ["-m", "tests.bench.answers_bench", "first-token", "--data", "{data}", "--peer", "{peer}"]),
    "engine": ("prefill and decode", ["-m", "tests.bench.answers_bench", "engine"]),
    "evidence": ("altered sentences", ["-m", "tests.bench.evidence_bench", "--data", "{data}"]),
    "service-load": ("200 chats on a slow model", ["-m", "tests.bench.service", "load"]),
    "service-faults": ("faults of the model server", ["-m", "tests.bench.service", "faults"]),
    "service-aborts": ("clients that leave", ["-m", "tests.bench.service", "aborts"]),
    "compare": (
        "RAG and LoRA on the sample company",
        ["-m", "tests.bench.compare_bench", "company", "--work", "{scratch}/compare", "--out", "{scratch}/compare-report"],
    ),
}  # fmt: skip


def main() -> int:
    """Runs the parts; the exit code is 1 when one failed."""
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--data", type=Path, help="folder of judged sets (corpus.jsonl, queries.jsonl, qrels.tsv each)")
    parser.add_argument("--peer", type=Path, help="the plain LangChain chain to compare with")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    unknown = set(args.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}; --list names them")
    if args.list:
        print("\n".join(f"{name:24} {what}" for name, (what, _) in PARTS.items()))
        return 0
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        given = {"scratch": scratch, "data": str(args.data or ""), "peer": str(args.peer or "")}
        for name in args.parts or PARTS:
            command = PARTS[name][1]
            missing = [
                key for key in ("data", "peer") if not given[key] and any(f"{{{key}}}" in part for part in command)
            ]
            if missing:
                print(f"== {name}: left out, needs {' and '.join('--' + m for m in missing)}", flush=True)
                continue
            print(f"== {name}: {PARTS[name][0]}", flush=True)
            if subprocess.run([sys.executable, *(part.format(**given) for part in command)]).returncode:
                failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "all parts ran")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
