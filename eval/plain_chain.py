"""The tutorial's chain as a baseline: what a user would write in an afternoon, over the same documents, embedder and model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from eval.arms import generated
from eval.given import Given
from eval.golden import GoldenQuestion
from rag.protocols import Embedder, Generator, Vectors
from rag.types import Message

if TYPE_CHECKING:
    from rag.wiring import Services

PROMPT = (
    "Use the following pieces of context to answer the question at the end. If you don't know the answer, just say that you "
    "don't know, don't try to make up an answer.\n\n{context}\n\nQuestion: {question}\nHelpful Answer:"
)
SIZE, OVERLAP, TOP, TOKENS = 1000, 200, 4, 256


class PlainChain:
    """Recursive splitter, one embedder, exhaustive search, top passages stuffed into one prompt."""

    def __init__(self, name: str, services: Services, generator: Generator, seed: int) -> None:
        self._name, self._generator, self._seed = name, generator, seed
        embedders = services.fields().embedders
        # A user takes one model for all texts; of ours that is the one for all languages.
        self._embedder: Embedder = embedders.get("e5") or next(iter(embedders.values()))
        self._texts, self._paths = _split(services)
        self._vectors: Vectors = self._embedder.embed_passages(self._texts)

    def ask(self, question: GoldenQuestion) -> Given:
        """The chain's answer."""
        started = time.monotonic()
        found = np.argsort(-(self._vectors @ self._embedder.embed_question(question.question)), kind="stable")[:TOP]
        retrieve = time.monotonic() - started
        for top in range(len(found), 0, -1):
            context = "\n\n".join(self._texts[i] for i in found[:top])
            messages = [Message("user", PROMPT.format(context=context, question=question.question))]
            # A passage too many for a small context is a passage less: the chain itself would end with an error.
            if self._generator.count_tokens(messages) + TOKENS <= self._generator.context_length:
                break
        offered = [self._paths[i] for i in found[:top]]
        return generated(
            self._name, question, self._generator, messages, TOKENS, self._seed, offered=offered, retrieve=retrieve
        )


def _split(services: Services) -> tuple[list[str], list[str]]:
    """(passages, the path of each)."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter(chunk_size=SIZE, chunk_overlap=OVERLAP)
    snapshot = services.collection().snapshot()
    texts: list[str] = []
    paths: list[str] = []
    for info in sorted(snapshot.documents(), key=lambda d: d.path):
        for text in splitter.split_text(snapshot.document(info.document).text):
            texts.append(text)
            paths.append(info.path)
    return texts, paths
