"""Services with a toy embedder: real files, store, plan and pool; vectors are hashed words, made at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from rag.index.text import indexed_text
from rag.settings import Settings
from rag.storage.card import Card, FieldCard
from rag.storage.collection import Collection
from rag.types import Chunk
from rag.wiring import Services

DIM = 8


class ToyFields:
    """One field over all chunks; counts what it embeds."""

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def vectors_needed(self, chunks: Sequence[Chunk]) -> int:
        return len(chunks)

    def embed(
        self,
        chunks: Sequence[Chunk],
        progress: Callable[[int], None] | None = None,
        codes: Callable[[str, bytes], None] | None = None,
    ) -> dict[str, tuple[Any, Any]]:
        self.embedded += [c.text for c in chunks]
        for c in chunks if codes is not None else ():
            codes(c.content_hash, c.text.encode())
        rows = np.zeros((len(chunks), DIM), np.float32)
        for row, c in zip(rows, chunks, strict=True):
            for word in indexed_text(c).lower().split():
                row[blake2b(word.encode(), digest_size=1).digest()[0] % DIM] += 1
            row[0] += 1
            row /= np.linalg.norm(row)
        if progress:
            progress(len(chunks))
        return {"toy": (np.arange(len(chunks), dtype=np.int64), rows)}


class ToyServices(Services):
    """The real services but for the model."""

    def __init__(self, home: Path, **changes: Any) -> None:
        super().__init__(Settings.load({}, home=home, **changes))
        self.toy = ToyFields()

    def collection(self, name: str | None = None, *, create: bool = False) -> Collection:
        name = name or self.settings.collection
        if create and not self.home.exists(name):
            self.home.create(name, Card((FieldCard("toy", "toy", ("*",), DIM),), "toy")).close()
        return super().collection(name)

    def fields(self, name: str | None = None) -> Any:
        return self.toy
