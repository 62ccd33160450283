"""The vector fields of a collection: which embedder holds which chunks, and is asked which questions.

The default is BGE for Chinese chunks, BGE for English ones - each asked only questions of its language - and multilingual e5
over all chunks, which finds across languages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from rag.errors import CollectionMismatch
from rag.index.text import indexed_text
from rag.models.catalog import CATALOG, find
from rag.protocols import Embedder, TokenVectors, Vectors
from rag.retrieval.embedding import identity, load_embedder
from rag.retrieval.token_codes import TokenCoder, projection_of
from rag.settings import Settings
from rag.storage.card import Card, FieldCard
from rag.types import Chunk

# Name of the chunking (ingest/chunking.py) that new collections are made with. Whoever changes how chunks are cut changes this name.
CHUNKING = "sections-2"

# setting -> (field, model, languages it holds and is asked in). "*" = all, "!zh" = all but Chinese.
PRESETS: Mapping[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "bge+e5": (
        ("bge-zh", "bge-small-zh-v1.5", ("zh",)),
        ("bge-en", "bge-small-en-v1.5", ("en",)),
        ("e5", "multilingual-e5-small", ("*",)),
    ),
    "bge": (
        ("bge-zh", "bge-small-zh-v1.5", ("zh",)),
        ("bge-en", "bge-small-en-v1.5", ("!zh",)),  # there is no other field for the rest
    ),
    "e5": (("e5", "multilingual-e5-small", ("*",)),),
}

# Below this many passages the time to open and warm up a bulk engine (seconds) is more than it saves.
BULK_FROM = 64


def card(settings: Settings, chunking: str = CHUNKING) -> Card:
    """The identity card of a new collection, as the settings ask. Loads no weights for models of the catalog.

    Raises ModelUnavailable for a model that is neither in the catalog, nor a folder, nor on a hub that can be reached.
    """
    preset = PRESETS.get(settings.fields)
    if preset is None:
        return Card((_one_field(settings.fields, settings),), chunking)
    fields = []
    for name, model, languages in preset:
        facts = identity(find(model))
        fields.append(FieldCard(name, model, languages, facts["dim"], facts))
    return Card(tuple(fields), chunking)


def holds(languages: Sequence[str], language: str) -> bool:
    """Whether a field with these languages holds chunks, and answers questions, of `language`."""
    return any(a == "*" or a == language or (a.startswith("!") and a[1:] != language) for a in languages)


class Fields:
    """Embeds chunks and questions for the fields of a card. Thread-safe; weights are loaded when first needed."""

    def __init__(self, card: Card, load: Callable[[FieldCard, bool], Embedder], *, lasting: bool = False) -> None:
        """`load` opens a field's model, on the engine that is fastest for many passages where it is told True; a `lasting` process has
        its questions embedded by that one too, which is no slower for them but opens slowly."""
        self.card = card
        self.bulk: Mapping[str, Embedder] = _Lazy(card.fields, lambda f: load(f, True))
        self.embedders: Mapping[str, Embedder] = self.bulk if lasting else _Lazy(card.fields, lambda f: load(f, False))
        # Kept, because what a new thread allocates is new memory to the system: 10 ms more for one question in twenty.
        self._asking = ThreadPoolExecutor(max(1, len(card.fields)), thread_name_prefix="question")

    def embed(
        self,
        chunks: Sequence[Chunk],
        progress: Callable[[int], None] | None = None,
        codes: Callable[[str, bytes], None] | None = None,
    ) -> dict[str, tuple[NDArray[np.int64], Vectors]]:
        """Field -> (positions in `chunks`, their vectors (n, dim)), for the fields that hold any of them.

        `progress` is told how many vectors were made since it was last told; `vectors_needed` gives the total. `codes` is told the
        content hash and the token codes of each chunk in the field of all languages, where its model has such codes.
        """
        out: dict[str, tuple[NDArray[np.int64], Vectors]] = {}
        for field in self.card.fields:
            positions = [i for i, c in enumerate(chunks) if holds(field.languages, c.language)]
            if not positions:
                continue
            embedders = self.bulk if len(positions) >= BULK_FROM else self.embedders
            texts = [indexed_text(chunks[i]) for i in positions]
            tokens: TokenVectors | None = None
            if codes is not None and (coder := coder_of(field)) is not None:
                tokens = _encoding(coder, [chunks[i].content_hash for i in positions], codes)
            vectors = embedders[field.name].embed_passages(texts, tokens)
            out[field.name] = (np.array(positions, np.int64), vectors)
            if progress is not None:
                progress(len(positions))
        return out

    def vectors_needed(self, chunks: Sequence[Chunk]) -> int:
        """How many vectors `embed` would make."""
        return sum(holds(f.languages, c.language) for f in self.card.fields for c in chunks)

    def question(self, text: str, language: str) -> dict[str, Vectors]:
        """Field -> (dim,) vector, for the fields that may be asked a question of this language."""
        asked = [f.name for f in self.card.fields if holds(f.languages, language)]
        # Side by side: opening a model and running it both leave the interpreter to others.
        vectors = self._asking.map(lambda name: self.embedders[name].embed_question(text), asked)
        return dict(zip(asked, vectors, strict=True))


def coder_of(field: FieldCard) -> TokenCoder | None:
    """What makes the token codes of a field; None for a field of one language: those of two fields are twice the bytes for little more."""
    return projection_of(field.model) if "*" in field.languages else None


def open_fields(card: Card, settings: Settings, *, lasting: bool = False) -> Fields:
    """The fields of a collection, checked against the models as they are now, for a process that ends soon or a `lasting` one.

    Raises CollectionMismatch naming both values when a model is not the one that made the vectors.
    """
    for field in card.fields:
        if field.model in CATALOG and CATALOG[field.model].files:
            _check(field, identity(find(field.model)))

    def load(field: FieldCard, bulk: bool) -> Embedder:
        embedder = load_embedder(field.model, settings, bulk=bulk)
        _check(field, embedder.identity)
        return embedder

    return Fields(card, load, lasting=lasting)


def _encoding(coder: TokenCoder, hashes: Sequence[str], codes: Callable[[str, bytes], None]) -> TokenVectors:
    return lambda row, vectors: codes(hashes[row], coder.encode(vectors))


def _one_field(name_or_folder: str, settings: Settings) -> FieldCard:
    if name_or_folder in CATALOG and CATALOG[name_or_folder].files:
        facts = identity(CATALOG[name_or_folder])
        return FieldCard(name_or_folder, name_or_folder, ("*",), facts["dim"], facts)
    path = Path(name_or_folder)
    model = str(path.absolute()) if path.is_dir() else name_or_folder
    embedder = load_embedder(model, settings)
    return FieldCard(embedder.name, model, ("*",), embedder.dim, dict(embedder.identity))


def _check(field: FieldCard, found: Mapping[str, object]) -> None:
    for key, made_with in field.identity.items():
        if found.get(key) != made_with:
            raise CollectionMismatch(
                f"vector field {field.name}: made with {key} {_short(made_with)}, but {field.model} now has "
                f"{_short(found.get(key))}; bring the old model back, or run: rag collections reembed"
            )


def _short(value: object) -> str:
    text = str(value)
    return repr(value) if len(text) <= 40 else f"{text[:12]}..."


class _Lazy(Mapping[str, Embedder]):
    """Field name -> embedder, loaded at the first look-up, once, whoever asks."""

    def __init__(self, fields: Sequence[FieldCard], load: Callable[[FieldCard], Embedder]) -> None:
        self._fields = {f.name: f for f in fields}
        self._load = load
        self._loaded: dict[str, Embedder] = {}
        self._locks = {f.name: Lock() for f in fields}

    def __getitem__(self, name: str) -> Embedder:
        field = self._fields[name]
        with self._locks[name]:
            if name not in self._loaded:
                self._loaded[name] = self._load(field)
            return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)
