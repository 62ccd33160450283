"""The whole pipeline beside the plain LangChain one: same files, same embedder (BGE en alone), alternating; then one file of a hundred edited.

    python -m tests.bench.ingest_throughput ../shared/data/handbook/files --peer ../shared/peers/plain_langchain.py --limit 40 --rounds 2

The peer runs in this interpreter with PEER_PYTHONPATH added, which must hold what its docstring lists. Without --peer only ours is measured.
Prints one JSON document: seconds and chunks of each round, the ratio of the medians, the time after an edit, and the lowest cosine of
our stored vectors with fp32 vectors of onnxruntime.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

MODEL = "bge-small-en-v1.5"
RAG = Path(sys.executable).with_name("rag")


def copied(source: Path, target: Path, limit: int) -> int:
    """The first files that the peer reads, copied; their number."""
    files = [f for f in sorted(source.rglob("*")) if f.suffix.lower() in (".md", ".txt", ".pdf", ".html")][
        : limit or None
    ]
    for file in files:
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    return len(files)


def ours(files: Path, home: Path) -> dict[str, Any]:
    """The report of `rag ingest`. Its seconds include loading the model; the peer's do not."""
    environment = {**os.environ, "RAG_HOME": str(home), "RAG_FIELDS": MODEL}
    out, cpu = timed([str(RAG), "ingest", str(files), "--json"], environment)
    report: dict[str, Any] = json.loads(out)
    kept = ("seconds", "chunks", "embedded", "added", "updated", "unchanged")
    return {k: report[k] for k in kept} | {"processor_seconds": cpu}


def peer(files: Path, store: Path, script: Path, embedder: Path) -> dict[str, Any]:
    """What the plain chain says of itself."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.environ.get("PEER_PYTHONPATH", ""),
        "PYTHONWARNINGS": "ignore",
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, str(script), "ingest", str(files), str(store), "--embedder", str(embedder)]
    out, cpu = timed(command, environment)
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found | {"processor_seconds": cpu}


def timed(command: list[str], environment: dict[str, str]) -> tuple[str, float]:
    """What a program prints, and the processor seconds that it and its children took, start included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)


def lowest_cosine(home: Path, sample: int = 64) -> float:
    """Of stored vectors with those that onnxruntime makes in fp32."""
    import numpy as np

    from rag.index.text import indexed_text
    from rag.retrieval.embedding import load_embedder
    from rag.settings import Settings
    from rag.wiring import Services

    with Services(Settings.load({"RAG_HOME": str(home)}, fields=MODEL)) as services:
        snapshot = services.collection().snapshot()
        chunks = [c for i in snapshot.documents(None) for c in snapshot.document_chunks(i.document)]
        chosen = chunks[:: max(1, len(chunks) // sample)]
        field = services.collection().card.names[0]
        stored = snapshot.vectors(field, [c.id for c in chosen])
        exact = load_embedder(MODEL, services.settings).embed_passages([indexed_text(c) for c in chosen])
    return float(np.min(np.sum(stored * exact, axis=1)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    from rag.models.cache import ensure
    from rag.settings import Settings

    embedder = ensure(MODEL, Settings.load().models)
    report: dict[str, Any] = {"ours": [], "peer": []}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        report["files"] = copied(args.source, folder / "files", args.limit)
        for number in range(args.rounds):
            if args.peer:
                report["peer"].append(peer(folder / "files", folder / f"store{number}", args.peer, embedder))
            report["ours"].append(ours(folder / "files", folder / f"home{number}"))
        first = median(r["seconds"] for r in report["ours"])
        if args.peer:
            for what in ("ours", "peer"):
                report[f"{what}_processor_seconds"] = median(r["processor_seconds"] for r in report[what])
            report["times_faster"] = round(median(r["seconds"] for r in report["peer"]) / first, 2)
        edited = sorted((folder / "files").rglob("*.md"))[: max(1, report["files"] // 100)]
        for file in edited:
            file.write_text(
                file.read_text(encoding="utf-8") + "\nOne more sentence was added to this file.\n", encoding="utf-8"
            )
        report["after_edit"] = ours(folder / "files", folder / "home0")
        report["after_edit_times_faster"] = round(first / report["after_edit"]["seconds"], 1)
        report["lowest_cosine"] = round(lowest_cosine(folder / "home0"), 5)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
