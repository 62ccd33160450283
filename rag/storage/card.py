"""A collection's identity card: what its vectors, chunks and tokens were made with. Written once, checked at every opening."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rag.index.tokenization import TOKENIZER

FORMAT_VERSION = 3


@dataclass(frozen=True)
class FieldCard:
    """A vector field: an embedder and the languages of the chunks it holds."""

    name: str  # "bge-zh", "bge-en", "e5", or the model's name
    model: str  # catalog or hub name
    languages: tuple[str, ...]  # "*" = all
    dim: int
    identity: Mapping[str, Any] = field(default_factory=dict)  # weights sha256, pooling, prompts, ...


@dataclass(frozen=True)
class Card:
    """Two collections with equal cards could share their vectors."""

    fields: tuple[FieldCard, ...]
    chunking: str
    tokenizer: str = TOKENIZER
    format_version: int = FORMAT_VERSION

    def field(self, name: str) -> FieldCard:
        """The field of this name. Raises KeyError."""
        return next(f for f in self.fields if f.name == name) if name in self.names else _unknown(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.fields)

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Card:
        data = json.loads(text)
        fields = tuple(FieldCard(**{**f, "languages": tuple(f["languages"])}) for f in data.pop("fields"))
        return cls(fields=fields, **data)


def _unknown(name: str) -> FieldCard:
    raise KeyError(f"no vector field {name!r}")
