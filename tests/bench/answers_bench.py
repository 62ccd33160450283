#!/usr/bin/env python3
"""Time to the first token, and the engine's speed, side by side with what a user would otherwise run.

    python tests/bench/answers_bench.py first-token --peer-python PYTHON --peer ../shared/peers/plain_langchain.py [--n 12]
    python tests/bench/answers_bench.py engine [--ollama MODEL] [--rounds 3]

first-token: paragraphs of a public set become files; the plain LangChain chain (in an environment of its own) and ours index them and
answer the same questions with the same model, in alternating blocks. "Cold" is the first question on a document, "used before"
another one on the same document, `--think` seconds later. engine: prompt tokens read and answer tokens written per second, embedded and (where a
server is given) by Ollama, alternating; n-gram speculation off and on. Every line is one JSON document; medians come last.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag.settings import Settings
from rag.types import AnswerDone, AskRequest, GenerationEnd, Message, SearchRequest, TextDelta
from rag.wiring import Services


def lines(file: Path) -> list[dict[str, Any]]:
    """The documents of a .jsonl or .jsonl.gz file."""
    if not file.exists():
        with gzip.open(f"{file}.gz", "rt", encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def pairs(folder: Path, n: int) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Files of `4 n` paragraphs, and two questions about each of `n` of them."""
    texts = {d["id"]: f"# {d['title']}\n\n{d['text']}\n" for d in lines(folder / "corpus.jsonl")}
    asked: dict[str, list[str]] = defaultdict(list)
    gold = [row.split("\t") for row in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    queries = {q["id"]: q["query"] for q in lines(folder / "queries.jsonl")}
    for query, document, _ in gold:
        asked[document].append(queries[query])
    step = max(len(texts) // (4 * n), 1)
    chosen = list(texts)[::step][: 4 * n]
    both = [d for d in chosen if len(asked[d]) >= 2][:n]
    return {d: texts[d] for d in chosen}, [(asked[d][0], asked[d][1]) for d in both]


def first_token(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as work:
        docs, store = Path(work, "docs"), Path(work, "store")
        docs.mkdir()
        files, questions = pairs(args.data / args.set, args.n)
        for name, text in files.items():
            (docs / f"{name.replace('/', '_')}.md").write_text(text, encoding="utf-8")
        settings = Settings.load(home=Path(work, "home"), generator=f"embedded:{args.model}")
        gguf = next((Path(settings.models) / args.model).glob("*.gguf"))
        peer = [args.peer_python, str(args.peer)]
        embedder = ["--embedder", str(Path(settings.models) / args.embedder)]
        if args.peer_python:
            subprocess.run([*peer, "ingest", str(docs), str(store), *embedder], check=True)
        times: dict[str, list[float]] = defaultdict(list)
        with Services(settings) as services:
            from ingest.indexing import IngestOptions, ingest

            services.collection(create=True)
            ingest([docs], services, IngestOptions())
            for _ in range(2):  # a service that runs has its model loaded and the fixed beginning of the prompt read
                _ours(
                    services,
                    "这是什么？" if args.set in ("cmrc2018", "xquad_zh") else "What is this about?",
                    "warm-up",
                    times,
                )
            blocks = [questions[i : i + 4] for i in range(0, len(questions), 4)]
            for block in blocks:
                if args.peer_python:
                    _peer(peer, store, [q for pair in block for q in pair], embedder, gguf, times)
                for cold, warm in block:
                    _ours(services, cold, "ours, cold", times)
                    time.sleep(args.think)
                    _ours(services, warm, "ours, used before", times)
        medians = {name: round(statistics.median(values), 2) for name, values in times.items() if name != "warm-up"}
        plain = medians.get("plain chain")
        ratios = {k: round(v / plain, 3) for k, v in medians.items() if plain and k != "plain chain"}
        print(json.dumps({"median first token, s": medians, "ratio to the plain chain": ratios, "n": len(questions)}))


def _peer(
    peer: Sequence[str],
    store: Path,
    questions: Sequence[str],
    embedder: Sequence[str],
    gguf: Path,
    times: dict[str, list[float]],
) -> None:
    file = store.parent / "questions.jsonl"
    file.write_text("".join(json.dumps({"question": q}) + "\n" for q in questions), encoding="utf-8")
    done = subprocess.run(
        [*peer, "ask", str(store), str(file), *embedder, "--gguf", str(gguf)],
        check=True,
        capture_output=True,
        text=True,
    )
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            said = json.loads(line)
            times["plain chain"].append(said["first_token"])
            print(json.dumps({"who": "plain chain"} | said, ensure_ascii=False), flush=True)


def _ours(services: Services, question: str, name: str, times: dict[str, list[float]]) -> None:
    for event in services.answerer().stream(AskRequest(SearchRequest(question))):
        if isinstance(event, AnswerDone):
            answer = event.answer
            times[name].append(answer.timings.first_token)
            t = answer.timings
            said = {"who": name, "question": question, "answer": answer.text, "status": answer.status}
            said |= {
                "retrieve": round(t.retrieve, 3),
                "first_token": round(t.first_token, 3),
                "total": round(t.total, 3),
            }
            print(json.dumps(said | {"prompt_tokens": t.prompt_tokens, "cached_tokens": t.cached_tokens}, ensure_ascii=False), flush=True)  # fmt: skip


def engine(args: argparse.Namespace) -> None:
    from rag.generation.embedded_chat import EmbeddedGenerator
    from rag.generation.ollama_chat import OllamaGenerator

    settings = Settings.load()
    gguf = next((Path(settings.models) / args.model).glob("*.gguf"))
    text = "The archive of the eastern office holds minutes, forms, bills and plans of the years before the move. " * 24
    rates: dict[str, list[float]] = defaultdict(list)
    engines: dict[str, Any] = {
        name: EmbeddedGenerator(gguf, args.model, threads=os.cpu_count() or 1, speculate=name.endswith("n-gram"))
        for name in ("embedded", "embedded, n-gram")
    }
    if args.ollama:
        engines["ollama"] = OllamaGenerator(args.ollama)
    for i in range(args.rounds + 1):
        for name, generator in engines.items():
            messages = [
                Message("user", f"{i} {name}. {text}\nRepeat the first two sentences, then go on with a list of them:")
            ]
            started, first, end = time.monotonic(), 0.0, None
            for event in generator.stream(messages, max_tokens=64):
                if isinstance(event, TextDelta):
                    first = first or time.monotonic() - started
                else:
                    end = event
            assert isinstance(end, GenerationEnd)
            if i:  # the first round loads
                rates[f"{name}: prompt tokens/s"].append((end.prompt_tokens - end.cached_tokens) / first)
                rates[f"{name}: answer tokens/s"].append((end.answer_tokens - 1) / (time.monotonic() - started - first))
    print(json.dumps({k: round(statistics.median(v), 1) for k, v in rates.items()} | {"rounds": args.rounds}))


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(required=True)
    p = sub.add_parser("first-token")
    p.add_argument("--data", type=Path, default=Path("../shared/data"))
    p.add_argument("--set", default="xquad_en")
    p.add_argument("--peer", type=Path, default=Path("../shared/peers/plain_langchain.py"))
    p.add_argument(
        "--peer-python", default="", help="python of the peer's environment; without it only ours is measured"
    )
    p.add_argument("--embedder", default="bge-small-en-v1.5")
    p.add_argument("--think", type=float, default=10.0, help="seconds between two questions on a document")
    p.add_argument("--n", type=int, default=12, help="documents, two questions each")
    p.set_defaults(run=first_token)
    q = sub.add_parser("engine")
    q.add_argument("--ollama", default="", help="model of an Ollama server (OLLAMA_HOST) made from the same GGUF")
    q.add_argument("--rounds", type=int, default=3)
    q.set_defaults(run=engine)
    for command in (p, q):
        command.add_argument("--model", default="qwen2.5-coder-1.5b-instruct")
    args = ap.parse_args()
    args.run(args)


if __name__ == "__main__":
    sys.exit(main())
