"""Embedding speed: every engine against plain sentence-transformers, in turns over the same passages; and the cost of one question.

    python tests/bench/embedding.py [--models NAME ...] [--passages 48] [--rounds 5] [--threads 2]

The plain side is what LangChain's HuggingFaceEmbeddings does: sentence-transformers in 32-bit floats, batches of 32. Engines take
turns, so that a busy machine slows all of them; a ratio is the mean over rounds with its 95 % interval (Student's t).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from rag.models import machine
from rag.models.cache import ensure
from rag.models.catalog import CATALOG, find
from rag.protocols import Vectors
from rag.retrieval.embedding import OnnxEmbedder, identity
from rag.retrieval.st_embedding import SentenceTransformersEmbedder
from rag.settings import Settings

CORPUS = Path(__file__).parents[2] / "corpus"
QUESTION = """
import resource, sys, time
start = time.perf_counter()
from rag.retrieval.fields import card, open_fields
from rag.settings import Settings
settings = Settings.load()
open_fields(card(settings), settings).question({text!r}, {language!r})
seconds, usage = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss: it counts what the parent had before this program was loaded.
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, usage.ru_utime + usage.ru_stime, int(peak) / 1024)
assert "torch" not in sys.modules
"""


def passages(language: str, count: int) -> list[str]:
    """`count` passages of about 800 (English) or 300 (Chinese) characters from the sample corpus, lengths mixed."""
    width = 300 if language == "zh" else 800
    found: list[str] = []
    for file in sorted(p for s in ("md", "txt") for p in CORPUS.rglob(f"*.{s}")):
        text = file.read_text(encoding="utf-8", errors="ignore")
        chinese = sum("一" <= c <= "鿿" for c in text) > len(text) / 5
        if chinese == (language == "zh"):
            found += [text[i : i + width] for i in range(0, len(text), width)]
    return found[:: max(1, len(found) // count)][:count]


def engines(name: str, settings: Settings, threads: int) -> dict[str, Callable[[Sequence[str]], Vectors]]:
    """Engine -> what embeds passages with it."""
    from sentence_transformers import SentenceTransformer

    model = find(name)
    folder = ensure(name, settings.models)
    facts = identity(model)
    plain = SentenceTransformer(str(folder), device="cpu")
    bf16 = bool(machine.cpu_flags() & {"avx512_bf16", "amx_bf16"})

    def run_plain(texts: Sequence[str]) -> Vectors:
        full = [facts["passage"] + t for t in texts]
        return np.asarray(plain.encode(full, batch_size=32, normalize_embeddings=True, show_progress_bar=False))

    found: dict[str, Callable[[Sequence[str]], Vectors]] = {"plain": run_plain}
    for kind in ("onnx", "openvino", "openvino-bf16") if bf16 else ("onnx", "openvino"):
        found[kind] = OnnxEmbedder(model, folder, threads=threads, session=kind).embed_passages  # type: ignore[arg-type]
    for dtype in ("float32", "bfloat16") if bf16 else ("float32",):
        torch = SentenceTransformersEmbedder(
            name, folder, encoder=model.encoder, identity=facts, dtype=dtype, threads=threads
        )
        found[f"torch-{dtype}"] = torch.embed_passages
    return found


def bench(name: str, settings: Settings, count: int, rounds: int, threads: int) -> None:
    """Prints a table of the engines for one model."""
    language = (find(name).encoder.languages or ("*",))[0]  # type: ignore[union-attr]
    texts = passages("zh", count) if language == "zh" else passages("en", count)
    run = engines(name, settings, threads)
    exact = run["onnx"](texts)
    cosine = {k: float(np.einsum("ij,ij->i", f(texts), exact).min()) for k, f in run.items()}
    speed: dict[str, list[float]] = {k: [] for k in run}
    for _ in range(rounds):
        for kind, embed in run.items():
            start = time.perf_counter()
            embed(texts)
            speed[kind].append(len(texts) / (time.perf_counter() - start))
    print(f"\n{name}: {len(texts)} passages, {rounds} rounds, {threads} threads")
    print("| engine | passages/s (best) | times plain (mean, 95 %) | least cosine |\n| --- | --- | --- | --- |")
    for kind, rates in speed.items():
        ratio = np.array(rates) / np.array(speed["plain"])
        half = float(stats.t.ppf(0.975, rounds - 1) * ratio.std(ddof=1) / np.sqrt(rounds)) if rounds > 1 else 0.0
        print(f"| {kind} | {max(rates):.1f} | {ratio.mean():.2f} ± {half:.2f} | {cosine[kind]:.5f} |", flush=True)


def question(text: str, language: str, rounds: int) -> None:
    """Prints what the first question of a fresh process costs, imports in."""
    code = QUESTION.format(text=text, language=language)
    out = [
        [
            float(x)
            for x in subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            ).stdout.split()
        ]
        for _ in range(rounds)
    ]
    seconds, cpu, memory = np.array(out).T
    print(
        f"first question ({language}): best {seconds.min():.2f} s, processor {cpu.min():.2f} s, memory {memory.max():.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    embedders = [m.name for m in CATALOG.values() if m.role == "embedder" and m.demo]
    parser.add_argument("--models", nargs="*", default=embedders)
    parser.add_argument("--passages", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=machine.cores())
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.threads)
    print(
        json.dumps(
            {"processor": machine.processor(), "bf16": sorted(machine.cpu_flags() & {"avx512_bf16", "amx_bf16"})}
        )
    )
    question("出差到成都的住宿标准是多少？", "zh", 3)
    question("What is the hotel limit in Oslo?", "en", 3)
    for name in args.models:
        bench(name, Settings.load(), args.passages, args.rounds, args.threads)


if __name__ == "__main__":
    main()
