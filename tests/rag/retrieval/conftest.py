"""A small collection with a toy embedder: words are axes, so every cosine can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from rag.index.language import detect
from rag.index.text import indexed_text
from rag.index.tokenization import tokenize
from rag.protocols import TokenVectors, Vectors
from rag.retrieval.fields import Fields
from rag.retrieval.retriever import HybridRetriever
from rag.settings import Settings
from rag.storage.card import Card, FieldCard
from rag.storage.collection import Collection
from rag.storage.home import Home
from rag.types import Chunk, Document

DIM = 256


class WordEmbedder:
    """A text is the sum of the axes of its tokens."""

    name = "words"
    dim = DIM
    max_tokens = 512
    identity: Mapping[str, Any] = {"model": "words"}

    def embed_passages(self, texts: Sequence[str], tokens: TokenVectors | None = None) -> Vectors:
        if tokens is not None:
            for row, vectors in enumerate(self.token_vectors(texts)):
                tokens(row, vectors)
        return np.stack([self._vector(t) for t in texts])

    def embed_question(self, text: str) -> Vectors:
        return self._vector(text)

    def token_vectors(self, texts: Sequence[str], *, question: bool = False) -> list[Vectors]:
        return [np.stack([self._vector(w) for w in tokenize(t)]) for t in texts]

    def _vector(self, text: str) -> Vectors:
        v = np.full(DIM, 1e-3, np.float32)
        for token in tokenize(text):
            v[crc32(token.encode()) % DIM] += 1
        return v / np.float32(np.linalg.norm(v))


def document(path: str, text: str, **facts: Any) -> Document:
    """A document of one paragraph."""
    known: dict[str, Any] = {
        "title": "",
        "root": "/r",
        "content_hash": sha256(text.encode()).hexdigest(),
        "language": detect(text),
    }
    return Document(id=f"d-{path}", text=text, path=path, **{**known, **facts})


@pytest.fixture
def collection(home: Path) -> Collection:
    """Empty, one field over all languages."""
    card = Card((FieldCard("words", "words", ("*",), DIM, WordEmbedder.identity),), chunking="one")
    return Home(home).create("default", card)


@pytest.fixture
def fields(collection: Collection) -> Fields:
    return Fields(collection.card, lambda field, bulk: WordEmbedder())


@pytest.fixture
def put(collection: Collection, fields: Fields) -> Callable[..., None]:
    return partial(store, collection, fields)


def store(
    collection: Collection,
    fields: Fields,
    *documents: Document,
    cut: bool = False,
    superseded: Mapping[str, str] | None = None,
) -> None:
    """Stores documents, each as one chunk, or as the sentences that `cut` parts at "|"."""
    with collection.writer() as writer:
        for d in documents:
            chunks = []
            start = 0
            for piece in d.text.split("|") if cut else [d.text]:
                c = Chunk(-1, d.id, piece, (start, start + len(piece)), language=d.language, title=d.title)
                chunks.append(replace(c, content_hash=sha256(indexed_text(c).encode()).hexdigest()))
                start += len(piece) + 1
            writer.put(d, chunks, fields.embed(chunks))
        for old, new in (superseded or {}).items():
            writer.supersede(old, new)
        writer.commit("test")


@pytest.fixture
def retriever(collection: Collection, fields: Fields, settings: Settings) -> HybridRetriever:
    return HybridRetriever(collection, fields, settings)
