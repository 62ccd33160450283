#!/usr/bin/env python3
"""Time to the first token, and the engine's speed, side by side with what a user would otherwise run.

    python tests/bench/answers_bench.py first-token --peer-python PYTHON --peer ../shared/peers/plain_langchain.py [--n 12]
    python tests/bench/answers_bench.py engine [--variants embedded,ollama --ollama MODEL] [--rounds 3]
    python tests/bench/answers_bench.py count --ollama MODEL

first-token: articles of a public set become files; the plain LangChain chain (in an environment of its own) and ours index them and
answer the same questions with the same model, in alternating blocks of four articles. "Cold" is the first question on a document, "used before"
another one on the same document, `--think` seconds later. engine: prompt tokens read and answer tokens written per second, by the embedded
engine as it is, by variants of it, and by an Ollama server, in turn. count: our estimate of prompt tokens against Ollama's own count.
Every line is one JSON document; medians come last.
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
import textwrap
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag.generation.answering import answer as drained
from rag.generation.embedded_chat import EmbeddedGenerator
from rag.generation.ollama_chat import OllamaGenerator
from rag.generation.prompting import PromptSource, build
from rag.settings import Settings
from rag.types import AskRequest, GenerationEnd, Message, SearchRequest, TextDelta
from rag.wiring import Services


def lines(file: Path) -> list[dict[str, Any]]:
    """The documents of a .jsonl or .jsonl.gz file."""
    if not file.exists():
        with gzip.open(f"{file}.gz", "rt", encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def article_files(folder: Path) -> dict[str, str]:
    """The paragraphs of each title as the text of one file."""
    articles: dict[str, list[str]] = defaultdict(list)
    for d in lines(folder / "corpus.jsonl"):
        # Lines as a PDF or a mail has them; with blank lines the splitter would make chunks far below its 1,000 characters.
        articles[d["title"]].append(textwrap.fill(d["text"], 100))
    return {t: "\n".join([t.replace("_", " "), "", *paragraphs]) for t, paragraphs in articles.items()}


def questions_on(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The questions of a set by the document that answers them."""
    gold = [row.split("\t") for row in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    queries = {q["id"]: q for q in lines(folder / "queries.jsonl")}
    asked: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for query, document, _ in gold:
        asked[document].append(queries[query])
    return asked


def documents_of(folder: Path) -> dict[str, list[str]]:
    """The documents of a set by their title, in order."""
    articles: dict[str, list[str]] = defaultdict(list)
    for d in lines(folder / "corpus.jsonl"):
        articles[d["title"]].append(d["id"])
    return articles


def pairs(folder: Path, n: int) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """About `2 n` articles as files (all paragraphs of a title), and two questions about one paragraph of each of `n` of them."""
    articles, asked = documents_of(folder), questions_on(folder)
    chosen = list(articles)[:: max(len(articles) // n, 1)][:n]
    both = [next(asked[d] for d in articles[t][1:] if len(asked[d]) >= 2) for t in chosen]
    texts = article_files(folder)
    files = {t: texts[t] for t in [*list(articles)[:: max(len(articles) // (2 * n), 1)], *chosen]}
    return files, [(q[0]["query"], q[-1]["query"]) for q in both]


def first_token(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        work = (args.work or Path(temporary)).resolve()
        docs, store, results = work / "docs", work / "store", work / "times.jsonl"
        files, questions = pairs(args.data / args.set, args.articles)
        questions = questions[args.skip :][: args.n]
        settings = Settings.load(home=work / "home", generator=f"embedded:{args.model}")
        gguf = next((Path(settings.models) / args.model).glob("*.gguf"))
        peer = [args.peer_python, str(args.peer)]
        embedder = ["--embedder", str(Path(settings.models) / args.embedder)]
        with Services(settings, lasting=True) as services:  # as the service has it
            if not docs.exists():
                docs.mkdir(parents=True)
                for name, text in files.items():
                    (docs / f"{name.replace('/', '_')}.txt").write_text(text, encoding="utf-8")
                if args.peer_python:
                    subprocess.run([*peer, "ingest", str(docs), str(store), *embedder], check=True)
                from ingest.indexing import IngestOptions, ingest

                services.collection(create=True)
                ingest([docs], services, IngestOptions())
            with results.open("a", encoding="utf-8") as out:

                def note(who: str, said: dict[str, Any]) -> None:
                    line = json.dumps({"who": who} | said, ensure_ascii=False)
                    print(line, flush=True)
                    out.write(line + "\n")
                    out.flush()

                for _ in range(
                    2 if questions else 0
                ):  # a running service has its model and the fixed beginning of the prompt
                    _ours(services, "这是什么？" if args.set in ("cmrc2018", "xquad_zh") else "What is this about?")
                for block in [questions[i : i + 4] for i in range(0, len(questions), 4)]:
                    if args.peer_python:
                        for said in _peer(peer, store, [q for pair in block for q in pair], embedder, gguf):
                            note("plain chain", said)
                    for cold, warm in block:
                        note("ours, cold", _ours(services, cold))
                        time.sleep(args.think)
                        note("ours, used before", _ours(services, warm))
        times: dict[str, list[float]] = defaultdict(list)
        for line in results.read_text(encoding="utf-8").splitlines():
            said = json.loads(line)
            times[said["who"]].append(said["first_token"])
        medians = {name: round(statistics.median(values), 2) for name, values in times.items()}
        plain = medians.get("plain chain")
        ratios = {k: round(v / plain, 3) for k, v in medians.items() if plain and k != "plain chain"}
        n = {name: len(values) for name, values in times.items()}
        print(json.dumps({"median first token, s": medians, "ratio to the plain chain": ratios, "n": n}))


def _peer(
    peer: Sequence[str], store: Path, questions: Sequence[str], embedder: Sequence[str], gguf: Path
) -> list[dict[str, Any]]:
    file = store.parent / "questions.jsonl"
    file.write_text("".join(json.dumps({"question": q}) + "\n" for q in questions), encoding="utf-8")
    done = subprocess.run(
        [*peer, "ask", str(store), str(file), *embedder, "--gguf", str(gguf)],
        check=True,
        capture_output=True,
        text=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _ours(services: Services, question: str) -> dict[str, Any]:
    answer = drained(services.answerer(), AskRequest(SearchRequest(question)))
    t = answer.timings
    seconds = {
        k: round(v, 3) for k, v in (("retrieve", t.retrieve), ("first_token", t.first_token), ("total", t.total))
    }
    said = {"question": question, "answer": answer.text, "status": answer.status, "prompt_tokens": t.prompt_tokens}
    return said | {"cached_tokens": t.cached_tokens} | seconds


class NGram(EmbeddedGenerator):
    """Guesses the next words from repeats in the prompt, without a draft model."""

    def _parameters(self) -> Any:
        p = super()._parameters()
        import xllamacpp  # here, because the generator sets how its threads wait before it is loaded

        p.speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
        p.speculative.ngram_simple.size_n, p.speculative.ngram_simple.size_m = 4, 8
        return p


class PlainAttention(EmbeddedGenerator):
    """Without flash attention."""

    def _parameters(self) -> Any:
        p = super()._parameters()
        import xllamacpp

        p.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        return p


class LargeBatch(EmbeddedGenerator):
    """Reads the prompt 512 tokens at a time, as llama.cpp does by itself."""

    def _parameters(self) -> Any:
        p = super()._parameters()
        p.n_batch = p.n_ubatch = 512
        return p


def engine(args: argparse.Namespace) -> None:
    """Each variant in turn, one in memory at a time; rounds repeat."""
    gguf = next((Path(Settings.load().models) / args.model).glob("*.gguf"))
    text = "The archive of the eastern office holds minutes, forms, bills and plans of the years before the move. " * 24
    rates: dict[str, list[float]] = defaultdict(list)
    kinds = {
        "embedded": EmbeddedGenerator,
        "n-gram": NGram,
        "no flash attention": PlainAttention,
        "batch 512": LargeBatch,
    }
    for i in range(args.rounds):
        for name in args.variants.split(","):
            generator: Any = (
                OllamaGenerator(args.ollama)
                if name == "ollama"
                else kinds[name](gguf, args.model, threads=os.cpu_count() or 1)
            )
            for part in range(3):
                messages = [
                    Message(
                        "user",
                        f"{i} {part} {name}. {text}\nRepeat the first two sentences, then go on with a list of them:",
                    )
                ]
                started, first, end = time.monotonic(), 0.0, None
                for event in generator.stream(messages, max_tokens=48):
                    if isinstance(event, TextDelta):
                        first = first or time.monotonic() - started
                    else:
                        end = event
                assert isinstance(end, GenerationEnd)
                if part:  # the first loads
                    rates[f"{name}: prompt tokens/s"].append((end.prompt_tokens - end.cached_tokens) / first)
                    rates[f"{name}: answer tokens/s"].append(
                        (end.answer_tokens - 1) / (time.monotonic() - started - first)
                    )
            generator.close()
    print(json.dumps({k: round(statistics.median(v), 1) for k, v in rates.items()} | {"n": 2 * args.rounds}))


def count(args: argparse.Namespace) -> None:
    """Our estimate of prompt tokens against what an Ollama server counts, over prompts as they are asked."""
    generator = OllamaGenerator(args.ollama)
    for name in ("xquad_en", "xquad_zh", "cmrc2018"):
        ratios = []
        texts = [d["text"] for d in lines(args.data / name / "corpus.jsonl")]
        for q, text in zip(lines(args.data / name / "queries.jsonl")[:: 1000 // args.n], texts, strict=False):
            messages = build(q["query"], [PromptSource(1, "", text[:500])])
            end = [*generator.stream(messages, max_tokens=1)][-1]
            assert isinstance(end, GenerationEnd)
            ratios.append(generator.count_tokens(messages) / end.prompt_tokens)
            if len(ratios) == args.n:
                break
        print(json.dumps({"set": name, "n": len(ratios), "estimate / prompt_eval_count": {"min": round(min(ratios), 3),
              "median": round(statistics.median(ratios), 3), "max": round(max(ratios), 3)}}))  # fmt: skip


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
    p.add_argument("--articles", type=int, default=12, help="articles that are asked about, two questions each")
    p.add_argument("--skip", type=int, default=0, help="articles to leave out, when a measurement is made in parts")
    p.add_argument("--n", type=int, default=12, help="articles to measure now; 0 makes the indexes only")
    p.add_argument("--work", type=Path, help="folder that keeps indexes and times between the parts of a measurement")
    p.set_defaults(run=first_token)
    q = sub.add_parser("engine")
    q.add_argument("--variants", default="embedded,n-gram,no flash attention,batch 512", help="also: ollama")
    q.add_argument("--rounds", type=int, default=3)
    q.set_defaults(run=engine)
    c = sub.add_parser("count")
    c.add_argument("--data", type=Path, default=Path("../shared/data"))
    c.add_argument("--n", type=int, default=20)
    c.set_defaults(run=count)
    for command in (q, c):
        command.add_argument(
            "--ollama", default="", help="model of an Ollama server (OLLAMA_HOST) made from the same GGUF"
        )
    for command in (p, q, c):
        command.add_argument("--model", default="qwen2.5-coder-1.5b-instruct")
    args = ap.parse_args()
    args.run(args)


if __name__ == "__main__":
    sys.exit(main())
