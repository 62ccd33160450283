"""Question-answer pairs that the local model proposes from chunks, and the automatic checks that most proposals must fail.

A proposal is kept when its evidence stands verbatim in the chunk, its answer stands in the evidence, its question does not give the
answer away or repeat an earlier one, and the model, asked without the document, does not know it. Near misses (the question with another number or name)
become unanswerable examples.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from eval.lora.examples import Example
from eval.lora.leaks import OVERLAP, normal, overlap
from eval.prompts import REFUSAL, closed_book
from eval.text_metrics import states
from rag.errors import GeneratorFailed
from rag.protocols import Generator
from rag.types import Chunk, Message, TextDelta

if TYPE_CHECKING:
    from rag.storage.snapshot import Snapshot

PAIRS_A_CHUNK = 2
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "pairs": {
            "type": "array",
            "minItems": 1,
            "maxItems": PAIRS_A_CHUNK,
            "items": {
                "type": "object",
                "properties": {k: {"type": "string", "maxLength": 200} for k in ("question", "answer", "evidence")},
                "required": ["question", "answer", "evidence"],
            },
        }
    },
    "required": ["pairs"],
}
_ASK = {
    "en": (
        "Read the text and write {n} questions that staff could ask and that it answers. The question must make sense without "
        "seeing the text. answer: a few words copied from the text. evidence: the sentence copied from the text that says it.\n\n"
        "Title: {title}\nText: {text}"
    ),
    "zh": (
        "阅读下文，写出{n}个员工可能会问、并且文中有答案的问题。问题本身要完整，不看原文也能明白。answer：从文中抄出的几个字。"
        "evidence：从文中原样抄出的那一句话。\n\n标题：{title}\n正文：{text}"
    ),
}
_REPHRASE = {
    "en": "Ask the same question in other words. Reply with the question only.\n\n{question}",
    "zh": "用不同的说法问同一个问题，只回复问题本身。\n\n{question}",
}
_NUMBER = re.compile(r"\d+")


def propose(
    snapshot: Snapshot, generator: Generator, count: int, seed: int, *, paraphrases: bool = False
) -> list[Example]:
    """At most `count` checked pairs, from chunks in seeded order over all documents, near misses among them (one in eight)."""
    found: list[Example] = []
    with tqdm(total=count, desc="proposing", unit="pair", file=sys.stderr) as bar:
        for path, chunk in _chunks(snapshot, seed):
            if len(found) >= count:
                break
            for example in proposals(chunk, path, generator, seed):
                if len(found) >= count or any(overlap(example.instruction, e.instruction) >= OVERLAP for e in found):
                    continue
                found.append(example)
                bar.update()
                if len(found) % 8 == 7 and (miss := near_miss(example, chunk)) is not None:
                    found.append(miss)
                    bar.update()
                if paraphrases and (other := paraphrase(example, generator, seed)) is not None:
                    found.append(other)
                    bar.update()
    return found[:count]


def _chunks(snapshot: Snapshot, seed: int) -> Iterator[tuple[str, Chunk]]:
    """(path, chunk) in rounds: one chunk of every document, then another, documents and chunks in seeded order."""
    rng = random.Random(seed)
    infos = sorted((d for d in snapshot.documents() if d.superseded_by is None), key=lambda d: d.path)
    rng.shuffle(infos)
    piles = []
    for info in infos:
        chunks = [c for c in snapshot.document_chunks(info.document) if len(c.text) >= 80]
        rng.shuffle(chunks)
        piles.append((info.path, chunks))
    while any(chunks for _, chunks in piles):
        for path, chunks in piles:
            if chunks:
                yield path, chunks.pop()


def proposals(chunk: Chunk, path: str, generator: Generator, seed: int) -> list[Example]:
    """The proposals for one chunk that pass the checks."""
    lang = "zh" if chunk.language == "zh" else "en"
    prompt = _ASK[lang].format(n=PAIRS_A_CHUNK, title=chunk.context, text=chunk.text[:1500])
    text = _said(generator, [Message("user", prompt)], 400, seed, SCHEMA)
    try:
        pairs = json.loads(text)["pairs"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return []  # cut at the token limit: a proposal lost, nothing else
    kept = []
    for k, pair in enumerate(pairs):
        example = Example(
            str(pair["question"]).strip(),
            "",
            str(pair["answer"]).strip().rstrip("。."),
            id=f"gen-{chunk.document}-{chunk.span[0]}-{k}",
            documents=(path,),
            lang=lang,
            evidence=str(pair["evidence"]).strip(),
            origin="generated",
        )
        if not problem(example, chunk.text) and not _known_without(example, generator, seed):
            kept.append(example)
    return kept


def problem(example: Example, text: str) -> str:
    """ "" for a pair that the text bears out, else why not. Pure."""
    squeezed = "".join(text.split())
    if not example.instruction or not example.output or not example.evidence:
        return "something is empty"
    if len(example.evidence) < 8 or "".join(example.evidence.split()) not in squeezed:
        return "the evidence does not stand in the text"
    if not states(example.evidence, example.output):
        return "the answer does not stand in the evidence"
    if states(example.instruction, example.output):
        return "the question gives the answer away"
    if len(normal(example.output).split()) > 40:
        return "the answer is a whole passage"
    if re.search(
        r"\b(?:the|this) (?:text|passage|document)\b|(?:本文|上文|文中|这段)", example.instruction, re.IGNORECASE
    ):
        return "the question needs the text in view"
    return ""


def near_miss(example: Example, chunk: Chunk) -> Example | None:
    """The question with its last number changed to one that the chunk does not have: nothing answers it."""
    numbers = list(_NUMBER.finditer(example.instruction))
    if not numbers:
        return None
    last = numbers[-1]
    value = int(last[0]) + 7
    while str(value) in chunk.text:
        value += 7
    asked = example.instruction[: last.start()] + str(value) + example.instruction[last.end() :]
    return replace(
        example, id=f"{example.id}-miss", instruction=asked, output=REFUSAL[example.lang], kind="unanswerable", evidence="",
        origin="near-miss",
    )  # fmt: skip


def paraphrase(example: Example, generator: Generator, seed: int) -> Example | None:
    """The same question in other words; None when the model repeats it, changes its numbers or gives the answer away."""
    prompt = _REPHRASE[example.lang].format(question=example.instruction)
    asked = _said(generator, [Message("user", prompt)], 80, seed).strip().splitlines()
    if not asked or normal(asked[0]) == normal(example.instruction) or states(asked[0], example.output):
        return None
    if sorted(_NUMBER.findall(asked[0])) != sorted(_NUMBER.findall(example.instruction)) or len(asked[0]) > 300:
        return None
    return replace(example, id=f"{example.id}-again", instruction=asked[0].strip(), origin="paraphrase")


def _known_without(example: Example, generator: Generator, seed: int) -> bool:
    """Whether the model answers without the document: then the pair teaches nothing about it."""
    messages = [Message(m["role"], m["content"]) for m in closed_book(example.instruction, example.lang)]  # type: ignore[arg-type]
    return states(_said(generator, messages, 48, seed), example.output)


def _said(
    generator: Generator, messages: Sequence[Message], tokens: int, seed: int, schema: dict[str, Any] | None = None
) -> str:
    """The whole text of one generation."""
    parts = [
        event.text
        for event in generator.stream(messages, max_tokens=tokens, seed=seed, schema=schema)
        if isinstance(event, TextDelta)
    ]
    if not parts and schema is not None:
        raise GeneratorFailed(f"{generator.name}: it said nothing; run `rag doctor`")
    return "".join(parts)
