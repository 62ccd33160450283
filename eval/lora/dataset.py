"""A training set from questions that people wrote, from pairs that the local model proposed, or both; checked, split, written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.golden import GoldenQuestion
from eval.lora.examples import PARTS, TEXT, Example, write_examples
from eval.lora.leaks import find_leaks, normal
from eval.lora.splitting import Split, split
from eval.prompts import NOT_IN_DOCUMENTS, REFUSAL
from rag.errors import UsageError
from rag.protocols import Embedder

if TYPE_CHECKING:
    from rag.storage.snapshot import DocumentInfo, Snapshot

MANIFEST = "dataset.json"
LEAST = 10  # examples: fewer cannot be split into three parts
MORE = "give more questions (--questions) or generate more (--generate N)"


@dataclass(frozen=True, slots=True)
class Built:
    """A data set before it is written, and what was left out of it."""

    split: Split
    repeated: int  # near-duplicates dropped
    leaked: tuple[str, ...]  # instructions dropped because the guarded questions ask the same


def from_questions(questions: Iterable[GoldenQuestion]) -> list[Example]:
    """Questions with known answers as examples; the answer to one without is a refusal in its language."""
    return [
        Example(
            q.question,
            q.context,
            _answer(q),
            id=q.id,
            documents=q.documents,
            lang=q.lang,
            kind=q.kind,
            evidence="\n".join(s.quote for s in q.spans),
            origin="golden",
        )
        for q in questions
    ]


def _answer(q: GoldenQuestion) -> str:
    if not q.answerable:
        return REFUSAL.get(q.lang, REFUSAL["en"])
    if q.parts:
        return ("；" if q.lang == "zh" else "; ").join(part[0] for part in q.parts)
    return q.answers[0]


def build(
    examples: Sequence[Example],
    seed: int,
    *,
    same: Iterable[Sequence[str]] = (),
    guarded: Sequence[GoldenQuestion] = (),
    embedder: Embedder | None = None,
) -> Built:
    """Drops repetitions and what the `guarded` questions ask, then splits by document. `same` groups documents that must not
    be parted. Raises UsageError when too little is left for three parts."""
    unique = _without_repetitions(examples)
    given_away: set[str] = set()
    if guarded:
        leaks = find_leaks(guarded, unique, embedder)
        given_away = {leak.trained for leak in leaks}
    kept = [e for e in unique if e.instruction not in given_away or e.kind == TEXT]
    if len(kept) < LEAST:
        raise UsageError(
            f"only {len(kept)} examples are left of {len(examples)}, and a training set needs at least {LEAST}: {MORE}"
        )
    return Built(split(kept, seed, same), len(examples) - len(unique), tuple(sorted(given_away)))


def _without_repetitions(examples: Sequence[Example]) -> list[Example]:
    """The first of every group that reads the same."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for e in examples:
        key = (normal(e.instruction), normal(e.input or e.output if e.kind == TEXT or e.sources else e.input))
        if key not in seen:
            seen.add(key)
            kept.append(e)
    return kept


def with_sources(
    examples: Sequence[Example],
    gold: Mapping[str, tuple[str, str]],
    distractors: Mapping[str, Sequence[tuple[str, str]]],
) -> list[Example]:
    """RAFT examples (Zhang et al. 2024): to every example the same question over sources, once with the gold source among
    distractors and, for every third, over distractors alone, where the answer is that the documents do not say.

    `gold`: example id -> (heading, text); `distractors`: example id -> likewise. Examples that lack either are left out.
    """
    made = []
    for number, e in enumerate(examples):
        others = list(distractors.get(e.id, ()))[:3]
        if e.id not in gold or not others:
            continue
        place = number % (len(others) + 1)  # the gold source is not always the first
        sources = (*others[:place], gold[e.id], *others[place:])
        made.append(
            replace(
                e,
                id=f"{e.id}-raft",
                output=f"{e.output} [{place + 1}]",
                origin="raft",
                sources=sources,
                input=_shown(sources),
            )
        )
        if number % 3 == 0:
            refusal = NOT_IN_DOCUMENTS.get(e.lang, NOT_IN_DOCUMENTS["en"])
            made.append(
                replace(
                    e, id=f"{e.id}-raft-none", output=refusal, origin="raft", sources=tuple(others), kind="unanswerable",
                    input=_shown(others), evidence="",
                )
            )  # fmt: skip
    return made


def _shown(sources: Sequence[tuple[str, str]]) -> str:
    return "\n\n".join(f"[{n}] {heading}\n{text}" for n, (heading, text) in enumerate(sources, 1))


def document_texts(snapshot: Snapshot, documents: Sequence[DocumentInfo]) -> list[Example]:
    """The documents' chunks as plain text to go on training with (domain-adaptive pre-training, Gururangan et al. 2020)."""
    found = []
    for info in documents:
        for chunk in snapshot.document_chunks(info.document):
            text = f"{chunk.context}\n{chunk.text}" if chunk.context else chunk.text
            found.append(
                Example("", "", text, id=f"text-{info.document}-{chunk.span[0]}", documents=(info.path,), lang=chunk.language,
                        kind=TEXT, origin="text")
            )  # fmt: skip
    return found


def same_documents(documents: Sequence[DocumentInfo]) -> list[list[str]]:
    """Groups of paths that tell the same things: versions of one document, and exact copies."""
    path = {d.document: d.path for d in documents}
    groups = [[d.path, path[d.superseded_by]] for d in documents if d.superseded_by in path]
    copies: dict[str, list[str]] = {}
    for d in documents:
        copies.setdefault(d.content_hash, []).append(d.path)
    return groups + [paths for paths in copies.values() if len(paths) > 1]


def write(
    built: Built, out: Path, seed: int, documents: Sequence[DocumentInfo], extra: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes train.json, validation.json, test.json, retriever.jsonl and dataset.json; gives the last one's content."""
    out.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        write_examples(out / f"{part}.json", built.split.part(part))
    known = {d.path: d for d in documents}
    trained = sorted({p for e in built.split.train for p in e.documents})
    manifest = {
        "seed": seed,
        "counts": {part: len(built.split.part(part)) for part in PARTS},
        "across": len(built.split.across),  # their documents lie in different parts, so they are in none
        "repeated": built.repeated,
        "leaked": list(built.leaked),
        "documents": {p: known[p].content_hash if p in known else "" for p in trained},
        "held_out": sorted({p for part in ("validation", "test") for e in built.split.part(part) for p in e.documents}),
        # Who may use what is trained on this: a caller must be in one group of every entry.
        "groups": sorted({tuple(sorted(known[p].groups)) for p in trained if p in known}) or [("public",)],
        **extra,
    }
    (out / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1), encoding="utf-8")
    return manifest


def write_pairs(
    out: Path, examples: Sequence[Example], gold: Mapping[str, str], hard: Mapping[str, Sequence[str]]
) -> int:
    """Writes retriever.jsonl (query, positive, negatives) and reranker.jsonl (query, passage, label) for training those;
    gives the number of questions. `gold` and `hard`: example id -> passage text, hard negatives."""
    chosen = [e for e in examples if e.id in gold]
    with (out / "retriever.jsonl").open("w", encoding="utf-8") as f:
        for e in chosen:
            row = {"query": e.instruction, "positive": gold[e.id], "negatives": list(hard.get(e.id, ()))}
            f.write(json.dumps(row, ensure_ascii=False) + "\n")
    with (out / "reranker.jsonl").open("w", encoding="utf-8") as f:
        for e in chosen:
            for passage, label in [(gold[e.id], 1), *((p, 0) for p in hard.get(e.id, ()))]:
                f.write(
                    json.dumps({"query": e.instruction, "passage": passage, "label": label}, ensure_ascii=False) + "\n"
                )
    return len(chosen)
