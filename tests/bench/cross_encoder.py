"""Trains a small cross-encoder, for `reranker = FOLDER`, from a catalog embedder. See docs/bench/retrieval.md.

    python -m tests.bench.cross_encoder mine --home HOME --collections a,b,c --out pairs.jsonl
    python -m tests.bench.cross_encoder train pairs.jsonl --base all-minilm-l6-v2 --out FOLDER [--held-out others.jsonl]

`mine` takes collections of public documents: a section's heading asks, the section answers, and what else the retriever finds for the heading in
the same collection are the hard negatives. `train` reads a question with each of its passages and learns to tell the one that answers (softmax over
the list); stopped, it goes on where it was. Wants the extra `torch`.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from rag.models import machine
from rag.models.cache import ensure
from rag.models.catalog import find
from rag.retrieval.engines import BF16_FLAGS
from rag.retrieval.retriever import HybridRetriever
from rag.settings import Settings
from rag.types import Chunk, SearchRequest
from rag.wiring import Services

DONE = "training.json"  # beside the weights: how far it came
SAVE = 120.0  # seconds between two
WARM = 0.05  # of the steps, in which the rate rises; then it falls to nothing
LEAST = 80  # characters of a passage that can answer


@dataclass(frozen=True, slots=True)
class Example:
    """A question, the passage that answers it, and others that a search finds for it, the most alike first."""

    question: str
    passage: str
    negatives: Sequence[str]


@dataclass(frozen=True, slots=True)
class Course:
    """How to train."""

    steps: int
    lists: int = 16  # questions a step
    negatives: int = 3  # of each
    tokens: int = 160  # of question and passage; what is longer is cut
    rate: float = 5e-5
    seed: int = 0


def read(file: Path) -> list[Example]:
    """The lines of a file that `mine` wrote."""
    with file.open(encoding="utf-8") as lines:
        return [Example(e["question"], e["passage"], e["negatives"]) for e in map(json.loads, lines)]


def mine(services: Services, hits: int) -> Iterator[Example]:
    """Examples of one collection: its headings and what they are searched with."""
    retriever = HybridRetriever(services.collection(), services.fields(), services.settings)
    snapshot = services.collection().snapshot()
    for info in snapshot.documents():
        for chunk in snapshot.document_chunks(info.document):
            if not chunk.heading or chunk.heading[-1] == chunk.title or len(chunk.text) < LEAST:
                continue
            found = retriever.search(SearchRequest(chunk.heading[-1], k=hits, rerank=False)).hits
            others = [
                _told(h.chunk) for h in found if (h.chunk.document, h.chunk.heading) != (chunk.document, chunk.heading)
            ]
            if others:
                yield Example(chunk.heading[-1], _told(chunk), others)


def _told(chunk: Chunk) -> str:
    """The passage without the heading that asks for it."""
    return "\n".join(p for p in (chunk.title, " > ".join(chunk.heading[:-1]), chunk.text) if p)


class CrossEncoder:
    """Question and passage read together."""

    def __init__(self, folder: Path, tokens: int) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self._tokens = tokens
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.net: Any = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
        self._bf16 = torch.cuda.is_available() or bool(machine.cpu_flags() & BF16_FLAGS)

    def scores(self, questions: Sequence[str], passages: Sequence[str]) -> torch.Tensor:
        """(n,) one logit a pair."""
        pairs = self._tokenizer(
            list(questions),
            list(passages),
            padding=True,
            truncation="only_second",
            max_length=self._tokens,
            return_tensors="pt",
        )
        with torch.autocast(self.net.device.type, torch.bfloat16, enabled=self._bf16):
            logits: torch.Tensor = self.net(**pairs.to(self.net.device)).logits[:, 0]
        return logits.float()

    def save(self, folder: Path) -> None:
        """As sentence-transformers and `reranker = FOLDER` load it."""
        self.net.save_pretrained(folder)
        self._tokenizer.save_pretrained(folder)


def loss(model: CrossEncoder, examples: Sequence[Example], negatives: int, chance: random.Random) -> torch.Tensor:
    """Mean cross-entropy of the answering passage in its list."""
    lists = [[e.passage, *chance.sample(list(e.negatives), min(negatives, len(e.negatives)))] for e in examples]
    lists = [ps + ps[1:2] * (1 + negatives - len(ps)) for ps in lists]  # the most alike once more where there are few
    questions = [e.question for e, ps in zip(examples, lists, strict=True) for _ in ps]
    logits = model.scores(questions, [p for ps in lists for p in ps]).view(len(lists), 1 + negatives)
    return torch.nn.functional.cross_entropy(logits, torch.zeros(len(lists), dtype=torch.long, device=logits.device))


def train(examples: Sequence[Example], base: Path, out: Path, course: Course) -> CrossEncoder:
    """The trained model, written into `out` every two minutes; goes on from what is there, with fresh moments of the optimizer."""
    torch.manual_seed(course.seed)
    first = int(json.loads((out / DONE).read_text())["step"]) if (out / DONE).exists() else 0
    model = CrossEncoder(out if first else base, course.tokens)
    model.net.to("cuda" if torch.cuda.is_available() else "cpu").train()
    optimizer = torch.optim.AdamW(model.net.parameters(), lr=course.rate, weight_decay=0.01)
    saved, mean = time.monotonic(), 0.0
    bar = tqdm(range(first, course.steps), "training", initial=first, total=course.steps, unit="step")
    for step in bar:
        chance = random.Random(f"{course.seed} {step}")  # the same questions whether it was stopped before or not
        for group in optimizer.param_groups:
            group["lr"] = course.rate * _share(step / course.steps)
        wrong = loss(model, chance.sample(examples, min(course.lists, len(examples))), course.negatives, chance)
        optimizer.zero_grad()
        wrong.backward()
        torch.nn.utils.clip_grad_norm_(model.net.parameters(), 1.0)
        optimizer.step()
        mean = 0.98 * mean + 0.02 * wrong.item() if mean else wrong.item()
        bar.set_postfix(loss=f"{mean:.3f}")
        if time.monotonic() - saved > SAVE:
            saved = time.monotonic()
            _save(model, out, step + 1, course)
    _save(model, out, course.steps, course)
    return model


def _share(done: float) -> float:
    """Of the learning rate, after this share of the steps."""
    return min((done + 1e-3) / WARM, (1 - done) / (1 - WARM))


def _save(model: CrossEncoder, out: Path, step: int, course: Course) -> None:
    model.save(out)
    (out / DONE).write_text(json.dumps({"step": step, "course": asdict(course)}))


@torch.inference_mode()
def reciprocal_rank(model: CrossEncoder, examples: Sequence[Example]) -> float:
    """Mean over the questions; each answering passage among all of its negatives."""
    model.net.eval()
    total = 0.0
    for e in examples:
        scores = model.scores([e.question] * (1 + len(e.negatives)), [e.passage, *e.negatives])
        total += 1 / (1 + int((scores[1:] >= scores[0]).sum()))
    return total / len(examples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    m = commands.add_parser("mine", help="examples from collections of public documents")
    m.add_argument("--home", type=Path, required=True)
    m.add_argument("--collections", required=True, help="names, with commas")
    m.add_argument("--hits", type=int, default=20, help="negatives of a question, at most")
    m.add_argument("--out", type=Path, required=True)
    t = commands.add_parser("train", help="a cross-encoder from examples")
    t.add_argument("examples", type=Path)
    t.add_argument("--base", default="all-minilm-l6-v2", help="an embedder of the catalog")
    t.add_argument("--out", type=Path, required=True)
    t.add_argument("--held-out", type=Path, help="examples of other collections")
    t.add_argument("--steps", type=int, default=4000)
    t.add_argument("--lists", type=int, default=16)
    t.add_argument("--negatives", type=int, default=3)
    t.add_argument("--tokens", type=int, default=160)
    t.add_argument("--rate", type=float, default=5e-5)
    args = parser.parse_args()
    if args.command == "mine":
        with args.out.open("w", encoding="utf-8") as out:
            for name in args.collections.split(","):
                with Services(Settings.load(home=args.home, collection=name)) as services:
                    for example in mine(services, args.hits):
                        out.write(json.dumps(asdict(example), ensure_ascii=False) + "\n")
        return
    settings = Settings.load()
    base = ensure(find(args.base).name, settings.models, maven=settings.maven)
    model = train(
        read(args.examples), base, args.out, Course(args.steps, args.lists, args.negatives, args.tokens, args.rate)
    )
    if args.held_out:
        others = read(args.held_out)
        print(f"held out: reciprocal rank {reciprocal_rank(model, others):.3f} of {len(others)} questions")


if __name__ == "__main__":
    main()
