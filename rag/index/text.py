"""What of a chunk is indexed: its context line and its text, the same for embedding and for keywords."""

from __future__ import annotations

from rag.types import Chunk


def indexed_text(chunk: Chunk) -> str:
    """Title and heading path, a line break, the text."""
    return f"{chunk.context}\n{chunk.text}" if chunk.context else chunk.text
