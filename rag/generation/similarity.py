"""Cosines of a sentence with others, for the evidence check: across languages where the collection has an embedder for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag.generation.evidence import Similarity
from rag.protocols import Embedder


def sentence_similarity(embedders: Mapping[str, Embedder]) -> Similarity | None:
    """The similarity by the embedder that knows all languages ("e5", or a collection's only one); None when there is none.

    Sentences are compared as passages with each other: both sides are statements.
    """
    names = list(embedders)
    chosen = "e5" if "e5" in names else names[0] if len(names) == 1 else None
    if chosen is None:
        return None

    def similarity(sentence: str, texts: Sequence[str]) -> Sequence[float]:
        vectors = embedders[chosen].embed_passages([sentence, *texts])
        cosines: list[float] = (vectors[1:] @ vectors[0]).tolist()
        return cosines

    return similarity
