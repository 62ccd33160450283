"""Embedders and cross-encoders through sentence-transformers: models by hub name or folder, GPUs. Its home, with torch."""

from __future__ import annotations

from rag.errors import ModelUnavailable
from rag.protocols import Embedder
from rag.settings import Settings


def load_st_embedder(name_or_folder: str, settings: Settings) -> Embedder:
    """An embedder by name or folder. Raises ModelUnavailable."""
    raise ModelUnavailable(f"model {name_or_folder}: coming in the next commit")
