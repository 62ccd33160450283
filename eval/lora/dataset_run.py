"""Makes a training set over a collection: questions, proposals of the local model, distractors, text; then checks and writes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.golden import GoldenQuestion, read_questions
from eval.lora import dataset
from eval.lora.examples import TEXT, Example
from rag.errors import UsageError

if TYPE_CHECKING:
    from rag.protocols import Embedder
    from rag.storage.snapshot import Snapshot
    from rag.wiring import Services


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the data set is made of."""

    questions: Path | None
    split: str | None
    guard: Path | None
    generate: int
    paraphrases: bool
    raft: bool
    text: bool
    review: bool
    seed: int


def make_dataset(wanted: Wanted, services: Services, out: Path) -> dict[str, Any]:
    """Writes the data set and gives its manifest. A collection is needed for everything but plain questions."""
    examples = dataset.from_questions(_questions(wanted)) if wanted.questions else []
    guarded = read_questions(wanted.guard) if wanted.guard else []
    snapshot = _snapshot(services, needed=bool(wanted.generate or wanted.raft or wanted.text))
    documents = snapshot.documents() if snapshot is not None else []
    if wanted.generate and snapshot is not None:
        if not wanted.text and len(examples) + wanted.generate < dataset.LEAST:  # said before the model works for it
            raise UsageError(
                f"{len(examples)} questions and --generate {wanted.generate} cannot make the {dataset.LEAST} examples that a training set "
                f"needs: {dataset.MORE}"
            )
        from eval.lora.proposing import propose

        proposed = propose(snapshot, services.generator(), wanted.generate, wanted.seed, paraphrases=wanted.paraphrases)
        if wanted.review:
            from eval.lora.reviewing import review

            proposed = review(proposed, sys.stdin, sys.stderr)
        examples += proposed
    embedder = _embedder(services) if guarded and snapshot is not None else None
    built = dataset.build(
        examples if not wanted.text or snapshot is None else [*examples, *dataset.document_texts(snapshot, documents)],
        wanted.seed,
        same=dataset.same_documents(documents),
        guarded=guarded,
        embedder=embedder,
    )
    if snapshot is not None and (wanted.raft or wanted.generate):
        built = _with_sources(built, snapshot, services, out, raft=wanted.raft)
    extra = {"questions": str(wanted.questions.name) if wanted.questions else None, "generated": wanted.generate}
    return dataset.write(built, out, wanted.seed, documents, extra)


def _questions(wanted: Wanted) -> list[GoldenQuestion]:
    assert wanted.questions is not None
    found = read_questions(wanted.questions)
    if wanted.split is not None:
        found = [q for q in found if q.split == wanted.split]
        if not found:
            raise UsageError(f"{wanted.questions}: no question says split: {wanted.split}")
    return found


def _snapshot(services: Services, *, needed: bool) -> Snapshot | None:
    """The collection, or None where there is none and questions alone will do."""
    name = services.settings.collection
    if not needed and not services.home.exists(name):
        return None
    return services.collection().snapshot()


def _embedder(services: Services) -> Embedder | None:
    """One embedder for questions of every language, to find rewordings: e5 where the collection has it."""
    embedders = services.fields().embedders
    return embedders.get("e5") or next(iter(embedders.values()), None)


def _with_sources(
    built: dataset.Built, snapshot: Snapshot, services: Services, out: Path, *, raft: bool
) -> dataset.Built:
    """Adds RAFT examples to the training and validation parts, and writes retriever.jsonl and reranker.jsonl."""
    from dataclasses import replace

    gold, hard = _sources(built.split.train + built.split.validation, snapshot, services)
    out.mkdir(parents=True, exist_ok=True)
    dataset.write_pairs(
        out, built.split.train, {k: v[1] for k, v in gold.items()}, {k: [t for _, t in v] for k, v in hard.items()}
    )
    if not raft:
        return built
    parts = {
        name: (*built.split.part(name), *dataset.with_sources(built.split.part(name), gold, hard))
        for name in ("train", "validation")
    }
    return replace(built, split=replace(built.split, **parts))


def _sources(
    examples: Sequence[Example], snapshot: Snapshot, services: Services
) -> tuple[Mapping[str, tuple[str, str]], Mapping[str, Sequence[tuple[str, str]]]]:
    """Per example the chunk with its evidence, and hard distractors: what a search for it finds in other documents."""
    from rag.types import SearchRequest

    retriever = services.retriever()
    gold: dict[str, tuple[str, str]] = {}
    hard: dict[str, list[tuple[str, str]]] = {}
    for e in examples:
        if e.kind in (TEXT, "unanswerable") or not e.documents:
            continue
        hits = retriever.search(SearchRequest(e.instruction, k=10)).hits
        hard[e.id] = [(h.chunk.context, h.chunk.text) for h in hits if h.path not in e.documents][:3]
        found = gold_chunk(snapshot, e.documents[0], e.evidence)
        if found is not None:
            gold[e.id] = found
    return gold, hard


def gold_chunk(snapshot: Snapshot, path: str, evidence: str) -> tuple[str, str] | None:
    """(context, text) of the chunk that holds most of the evidence; None when the document is not there."""
    from eval.text_metrics import tokens

    document = snapshot.find(path)
    if document is None:
        return None
    wanted = set(tokens(evidence))
    chunks = snapshot.document_chunks(document)
    if not chunks:
        return None
    best = max(chunks, key=lambda c: (len(wanted & set(tokens(c.text))), -c.span[0]))
    return best.context, best.text
