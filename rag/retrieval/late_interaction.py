"""Late interaction: every word of the question finds its best match among the words of the passage (ColBERT's MaxSim, Khattab & Zaharia 2020).

The token vectors are those of the embedder that holds all languages, so a Chinese question meets English passages word by word, which one
vector for a whole passage cannot do: that is where it gains most (docs/bench/retrieval.md). They are stored with the chunk as codes of 32 bytes
a token; for a chunk from before there were any they are made when it becomes a candidate, and kept for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.index.text import indexed_text
from rag.protocols import Embedder, Vectors
from rag.retrieval.kept import Kept
from rag.retrieval.token_codes import BYTES, TokenCoder, decode
from rag.types import Chunk

KEPT = 2000  # passages whose codes were made for a question: about 10 MB


class LateInteraction:
    """MaxSim of a question and passages. Thread-safe."""

    def __init__(self, coder: TokenCoder, embedder: Callable[[], Embedder]) -> None:
        """`embedder` is asked for when it is first needed."""
        self._coder = coder
        self._embedder = embedder
        self._kept: Kept[str, bytes] = Kept(KEPT)

    def similarities(
        self, question: str, chunks: Sequence[Chunk], codes: Sequence[bytes | None]
    ) -> NDArray[np.float32]:
        """(n,) mean over the question's tokens of the best cosine with a token of the passage; None in `codes` = not stored."""
        asked = self._coder.project(self._embedder().token_vectors([question], question=True)[0])
        missing = [indexed_text(c) for c, code in zip(chunks, codes, strict=True) if code is None]
        made = iter(self._kept.of(missing, self._made))
        return maxsim(asked, [next(made) if c is None else c for c in codes])

    def _made(self, texts: list[str]) -> list[bytes]:
        return [self._coder.encode(v) for v in self._embedder().token_vectors(texts)]


def maxsim(question: Vectors, passages: Sequence[bytes]) -> NDArray[np.float32]:
    """(n,) for each passage's codes the mean over the rows of `question` (q, BITS) of their best cosine with a token of it; 0 when there is
    none. All passages in one product: twenty small ones take several times as long."""
    ends = np.cumsum([len(codes) // BYTES for codes in passages])
    held = np.flatnonzero(np.diff(ends, prepend=0))
    found = np.zeros(len(passages), np.float32)
    if len(question) and len(held):
        cosines = question @ decode(b"".join(passages)).T
        starts = np.concatenate([[0], ends[:-1]])[held]  # reduceat cannot take empty runs
        found[held] = np.maximum.reduceat(cosines, starts, axis=1).mean(axis=0)
    return found
