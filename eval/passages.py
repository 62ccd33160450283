"""Where the gold of a question lies in a collection: documents, chunks, hits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.golden import GoldenQuestion
from eval.text_metrics import states, tokens
from rag.types import Chunk, Hit

if TYPE_CHECKING:
    from rag.storage.snapshot import Snapshot

HOLDS = 0.85  # share of a quote's tokens that a text must have to hold it: readers differ in spaces and table marks
PASSAGES = 3  # gold chunks of a question whose set names documents but no quotes


def holds(text: str, quote: str) -> float:
    """Share of the quote's tokens, counted, that the text has."""
    wanted = Counter(tokens(quote))
    return sum((wanted & Counter(tokens(text))).values()) / max(1, wanted.total())


def find_document(snapshot: Snapshot, name: str) -> str | None:
    """The id of a gold document: its path as the collection has it, or the end of that path. A passage of a BEIR folder was
    stored under its id."""
    found = snapshot.find(name)
    if found is not None:
        return found
    for info in snapshot.documents():
        if info.path.endswith(f"/{name}") or name.endswith(f"/{info.path}") or info.path.partition(".")[0] == name:
            return info.document
    return None


def gold_chunks(snapshot: Snapshot, question: GoldenQuestion) -> list[Chunk]:
    """The chunks that hold the answer: per quote the chunk with most of it; without quotes those of the gold documents that
    state the answer, else their first ones."""
    found: dict[int, Chunk] = {}
    for span in question.spans:
        document = find_document(snapshot, span.document)
        chunks = snapshot.document_chunks(document) if document is not None else []
        if chunks:
            best = max(chunks, key=lambda c: (holds(c.text, span.quote), -c.span[0]))
            if holds(best.text, span.quote) >= 0.5:
                found[best.id] = best
    if question.spans:
        return list(found.values())
    for name in question.documents:
        document = find_document(snapshot, name)
        chunks = snapshot.document_chunks(document) if document is not None else []
        stating = [c for c in chunks if any(states(c.text, w) for fact in question.facts for w in fact)]
        for chunk in (stating or chunks)[:PASSAGES]:
            found[chunk.id] = chunk
    return list(found.values())


def gold_hits(snapshot: Snapshot, question: GoldenQuestion) -> list[Hit]:
    """The gold chunks as hits, as a perfect search would give them."""
    chunks = gold_chunks(snapshot, question)
    infos = {i.document: i for i in snapshot.info([c.document for c in chunks])}
    return [
        Hit(c, 1.0 / n, n, infos[c.document].title, infos[c.document].path, date=infos[c.document].date)
        for n, c in enumerate(chunks, 1)
        if c.document in infos
    ]


def is_gold_hit(hit: Hit, question: GoldenQuestion) -> bool:
    """Whether a hit gives the answer: it is of a gold document, or states every fact."""
    if _named(hit.path, question.documents) or hit.chunk.document in question.documents:
        return True
    return bool(question.facts) and all(any(states(hit.chunk.text, w) for w in fact) for fact in question.facts)


def _named(path: str, names: Sequence[str]) -> bool:
    return any(
        path == n or path.endswith(f"/{n}") or n.endswith(f"/{path}") or path.partition(".")[0] == n for n in names
    )
