"""Late interaction: every word of the question finds its best match among the words of the passage (ColBERT's MaxSim, Khattab & Zaharia 2020).

The token vectors are those of the embedder that holds all languages, so a Chinese question meets English passages word by word, which one
vector for a whole passage cannot do: that is where it gains most (docs/bench/retrieval.md). They are made when a passage first becomes a
candidate and kept for a while: stored for every chunk they would be a hundred times the size of the index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.index.text import indexed_text
from rag.protocols import Embedder, Vectors
from rag.retrieval.kept import Kept
from rag.types import Chunk

KEPT = 400  # passages whose token vectors are kept: about 60 MB


class LateInteraction:
    """MaxSim of a question and passages. Thread-safe."""

    def __init__(self, embedder: Callable[[], Embedder]) -> None:
        """`embedder` is asked for when it is first needed."""
        self._embedder = embedder
        self._kept: Kept[str, NDArray[np.float16]] = Kept(KEPT)
        self._prompts: dict[bool, int] = {}

    def similarities(self, question: str, chunks: Sequence[Chunk]) -> NDArray[np.float32]:
        """(n,) mean over the question's tokens of the best cosine with a token of the passage."""
        asked = self._embedder().token_vectors([question], question=True)[0][self._prompt(question=True) :]
        return np.array([maxsim(asked, tokens) for tokens in self._passages(chunks)], np.float32)

    def _passages(self, chunks: Sequence[Chunk]) -> list[Vectors]:
        found = self._kept.of([indexed_text(c) for c in chunks], self._made)
        return [v.astype(np.float32) for v in found]

    def _made(self, texts: list[str]) -> list[NDArray[np.float16]]:
        made = self._embedder().token_vectors(texts)
        start = self._prompt(question=False)
        return [v[start:].astype(np.float16) for v in made]

    def _prompt(self, *, question: bool) -> int:
        """Rows of the model's own prompt, which all texts share: counted with a text of one token, and left out, for "query" and
        "passage" match each other and say nothing."""
        if question not in self._prompts:
            self._prompts[question] = max(0, len(self._embedder().token_vectors(["a"], question=question)[0]) - 1)
        return self._prompts[question]


def maxsim(question: Vectors, passage: Vectors) -> float:
    """Mean over the rows of `question` of their best cosine with a row of `passage`; unit rows. 0 when either is empty."""
    if not len(question) or not len(passage):
        return 0.0
    return float((question @ passage.T).max(axis=1).mean())
