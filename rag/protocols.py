"""The few places where implementations are swapped. One contract test each, parametrised over the implementations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Event
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rag.types import (
    AnswerDone,
    AskRequest,
    GenerationEnd,
    Hit,
    Message,
    SearchRequest,
    SearchResult,
    SourcesFound,
    TextDelta,
)

Vectors = NDArray[np.float32]
TokenVectors = Callable[[int, Vectors], None]


@runtime_checkable
class Embedder(Protocol):
    """Texts to unit vectors. The engine (onnxruntime, sentence-transformers) is not part of its identity: engines agree to
    cosine >= 0.9999 in fp32."""

    name: str  # catalog or hub name: "bge-small-zh-v1.5"
    dim: int
    max_tokens: int
    identity: Mapping[str, Any]  # goes into the collection's card: model, weights sha256, pooling, prompts, dim

    def embed_passages(self, texts: Sequence[str], tokens: TokenVectors | None = None) -> Vectors:
        """(n, dim) float32 unit rows, in the order of `texts`. Sorted by length and batched by tokens inside.

        `tokens` is told the token vectors of each text (`token_vectors`) as they are made, with its place in `texts`."""
        ...

    def embed_question(self, text: str) -> Vectors:
        """(dim,) float32 unit vector, with the model's question instruction."""
        ...

    def token_vectors(self, texts: Sequence[str], *, question: bool = False) -> list[Vectors]:
        """One (tokens, dim) float32 array of unit rows per text, for late interaction. Special tokens and the model's prompt are read
        with the text and left out of the rows."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """Question and hits to scores."""

    name: str

    def score(self, question: str, hits: Sequence[Hit]) -> NDArray[np.float32]:
        """(n,) float32, higher is better, one per hit in their order."""
        ...


@runtime_checkable
class Retriever(Protocol):
    """Finds. Thread-safe; every result comes from exactly one generation."""

    def search(self, request: SearchRequest) -> SearchResult:
        """Raises NotFound for an unknown generation, UsageError for a filter that cannot be read."""
        ...


@runtime_checkable
class Generator(Protocol):
    """A language model. Thread-safe: callers may stream at the same time; an implementation that cannot queues them."""

    name: str  # as reported to users: "qwen2.5-coder-1.5b-instruct-q4_k_m", "good" (Ollama's name), ...
    context_length: int  # tokens, prompt and answer together

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the rendered prompt: exact where the engine can tell, else an upper estimate."""
        ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
        stop: Sequence[str] = (),
        schema: Mapping[str, Any] | None = None,
        cancel: Event | None = None,
    ) -> Iterator[TextDelta | GenerationEnd]:
        """Any number of TextDelta, then exactly one GenerationEnd. Setting `cancel`, or closing the iterator, stops the
        model itself within 2 seconds, also while it still reads the prompt (finish_reason "cancelled").

        Raises a GeneratorFailed subclass, also in mid-stream.
        """
        ...

    def check(self) -> list[str]:
        """Problems that would make answers fail or be bad (server down, model missing, no chat template), one line each
        with the next step; empty when all is well. For `rag doctor` and /readyz; loads no weights."""
        ...

    def close(self) -> None:
        """Frees memory and connections. Calling it twice is harmless."""
        ...


@runtime_checkable
class Answerer(Protocol):
    """Question to proved answer."""

    def stream(
        self, request: AskRequest, cancel: Event | None = None
    ) -> Iterator[SourcesFound | TextDelta | AnswerDone]:
        """One SourcesFound, any number of TextDelta, one AnswerDone. Text deltas are already stripped of anything unsafe."""
        ...
