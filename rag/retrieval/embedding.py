"""Texts to unit vectors: the embedders on onnxruntime, and the choice of an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from rag.errors import UsageError
from rag.models.bert_engine import BertEngine, SessionKind
from rag.models.cache import ensure
from rag.models.catalog import Model, find
from rag.protocols import Embedder, TokenVectors, Vectors
from rag.retrieval import engines, st_embedding
from rag.retrieval.kept import Kept
from rag.settings import Settings

QUESTIONS = 32  # that are kept: one search asks twice, and the service's searches run side by side


class OnnxEmbedder:
    """An Embedder on onnxruntime or OpenVINO, for a folder that the catalog's conversion made."""

    def __init__(self, model: Model, folder: Path, *, threads: int = 0, session: SessionKind = "onnx") -> None:
        self.identity: Mapping[str, Any] = identity(model)
        encoder = model.encoder
        assert encoder is not None
        self.name = model.name
        self.dim = encoder.dim
        self.max_tokens = encoder.max_tokens
        self._encoder = encoder
        self._engine = BertEngine(folder, encoder.pooling, encoder.max_tokens, threads=threads, session=session)
        self._questions: Kept[str, tuple[Vectors, Vectors]] = Kept(QUESTIONS)

    def embed_passages(self, texts: Sequence[str], tokens: TokenVectors | None = None) -> Vectors:
        """(n, dim) float32 unit rows, in the order of `texts`; `tokens` is told the token vectors of each."""
        told: TokenVectors | None = None
        if tokens is not None:
            prompt = self._prompt_rows[self._encoder.passage]

            def told(row: int, vectors: Vectors) -> None:
                tokens(row, vectors[prompt:])

        return self._engine.embed([self._encoder.passage + t for t in texts], told)

    def embed_question(self, text: str) -> Vectors:
        """(dim,) float32 unit vector."""
        return self._asked([text])[0][0]

    def token_vectors(self, texts: Sequence[str], *, question: bool = False) -> list[Vectors]:
        """One (tokens, dim) float32 array of unit rows per text. Special tokens and the model's prompt are read with the text and left
        out of the rows: "query" and "passage" match each other and say nothing."""
        if question:
            return [tokens for _, tokens in self._asked(texts)]
        rows = self._prompt_rows[self._encoder.passage]
        return [v[rows:] for v in self._engine.token_vectors([self._encoder.passage + t for t in texts])]

    def _asked(self, texts: Sequence[str]) -> list[tuple[Vectors, Vectors]]:
        """The vector and the token vectors of each question, from one reading: a search wants both."""
        return self._questions.of(texts, lambda new: [self._ask(t) for t in new])

    def _ask(self, text: str) -> tuple[Vectors, Vectors]:
        tokens: list[Vectors] = []
        vector = self._engine.embed([self._encoder.question + text], lambda _, rows: tokens.append(rows))[0]
        return vector, tokens[0][self._prompt_rows[self._encoder.question] :]

    @cached_property
    def _prompt_rows(self) -> Mapping[str, int]:
        """Prompt -> how many token vectors are its own, counted with a text of one token."""
        without, *with_prompt = self._engine.tokens(["a", f"{self._encoder.question}a", f"{self._encoder.passage}a"])
        prompts = (self._encoder.question, self._encoder.passage)
        return {prompt: len(ids) - len(without) for prompt, ids in zip(prompts, with_prompt, strict=True)}


def identity(model: Model) -> Mapping[str, Any]:
    """What makes two vectors comparable: goes into a collection's card. The engine is no part of it."""
    encoder = model.encoder
    if encoder is None:
        raise UsageError(
            f"model {model.name} is a {model.role}, not an embedder; `rag models list` shows the embedders"
        )
    return {
        "model": model.name,
        "weights": model.sha256,
        "dim": encoder.dim,
        "pooling": encoder.pooling,
        "question": encoder.question,
        "passage": encoder.passage,
        "max_tokens": encoder.max_tokens,
    }


def load_embedder(name_or_folder: str, settings: Settings, *, bulk: bool = False) -> Embedder:
    """The embedder of a catalog name, a hub name or a sentence-transformers folder; weights are fetched if need be.

    `bulk` asks for the engine that is fastest for many passages, which may take a second or two to open; onnxruntime starts at
    once. Raises ModelUnavailable.
    """
    if Path(name_or_folder).is_dir():
        return st_embedding.load_st_embedder(name_or_folder, settings)
    model = find(name_or_folder)
    if not model.files:  # only the hub knows what is in it
        return st_embedding.load_st_embedder(name_or_folder, settings)
    folder = ensure(model.name, settings.models, maven=settings.maven)

    def load(engine: engines.Engine) -> Embedder:
        if engine in ("onnx", "openvino", "openvino-bf16"):
            return OnnxEmbedder(model, folder, threads=settings.threads, session=engine)
        return st_embedding.SentenceTransformersEmbedder(
            model.name,
            folder,
            encoder=model.encoder,
            identity=identity(model),
            dtype="bfloat16" if engine == "torch-bf16" else "float32",
            threads=settings.threads,
        )

    return load(engines.choose(model, settings.engine, settings.models, load) if bulk else "onnx")
