"""A toy collection: documents of a few words, vectors that a hash makes from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from rag.storage.card import Card, FieldCard
from rag.storage.collection import Collection
from rag.types import Block, Chunk, Document, Page

DIM = 8
CARD = Card((FieldCard("toy", "toy-model", ("*",), DIM, {"sha256": "0"}),), "by line")


def vector(text: str) -> np.ndarray:
    """(DIM,) unit vector; equal texts have equal ones."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    made = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return made / np.linalg.norm(made)


def parts(
    name: str, text: str, groups: Sequence[str] = ("public",), **facts: Any
) -> tuple[Document, list[Chunk], dict[str, Any]]:
    """What `Writer.put` takes: one chunk a line of `text`."""
    chunks, start = [], 0
    for line in text.split("\n"):
        digest = hashlib.sha256(line.encode()).hexdigest()
        chunks.append(
            Chunk(-1, name, line, (start, start + len(line)), title=name, heading=("H",), content_hash=digest)
        )
        start += len(line) + 1
    document = Document(
        id=name,
        title=name,
        text=text,
        path=facts.pop("path", f"{name}.md"),
        root="/docs",
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
        pages=(Page(1, (0, len(text)), text_score=0.5),),
        blocks=(Block("paragraph", (0, len(text))),),
        groups=frozenset(groups),
        **facts,
    )
    return document, chunks, {"toy": (np.arange(len(chunks)), np.array([vector(c.text) for c in chunks]))}


def put(collection: Collection, *documents: tuple[Any, ...]) -> int:
    """Adds (name, text[, groups]) in one commit; the generation."""
    with collection.writer() as writer:
        for document in documents:
            writer.put(*parts(*document))
        return writer.commit()


def found(
    collection: Collection, words: str, groups: Sequence[str] | None = None, as_of: int | None = None
) -> set[str]:
    """Names of the documents a keyword search finds."""
    snapshot = collection.snapshot(as_of)
    allowed = snapshot.allowed(None if groups is None else frozenset(groups))
    from rag.index.tokenization import tokenize

    return {c.document for c in snapshot.chunks(snapshot.keyword(tokenize(words), allowed, 100).ids)}
