"""Token vectors in 32 bytes each, small enough to be stored for every chunk.

A vector is centred, projected on the first principal directions of its model's token vectors, and kept as the signs of what comes out: random
hyperplanes tell angles (Charikar 2002), principal ones tell more of them with fewer bits (Gong et al. 2013). A question's vectors are projected
and not cut to signs (asymmetric distance). Centring matters most: the token vectors of these models all lean to one side, and without that
side they rank better than whole (docs/bench/retrieval.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.protocols import Vectors

BITS = 256  # of a token
BYTES = BITS // 8
_FOLDER = Path(__file__).with_name("projections")


@dataclass(frozen=True, eq=False)
class TokenCoder:
    """Token vectors of one model to codes and back. Made by tests/bench/token_projection.py."""

    mean: Vectors  # (dim,)
    axes: Vectors  # (dim, BITS), orthonormal columns

    def project(self, tokens: Vectors) -> Vectors:
        """(n, BITS) unit rows."""
        projected = (tokens - self.mean) @ self.axes
        return projected / np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-9)

    def encode(self, tokens: Vectors) -> bytes:
        """BYTES of them for each token."""
        return np.packbits((tokens - self.mean) @ self.axes > 0, axis=1).tobytes()


def decode(codes: bytes) -> Vectors:
    """(n, BITS) unit rows of what `TokenCoder.encode` made."""
    packed: NDArray[np.uint8] = np.frombuffer(codes, np.uint8).reshape(-1, BYTES)
    return (np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1) / np.float32(np.sqrt(BITS))


@cache
def projection_of(model: str) -> TokenCoder | None:
    """The coder of a catalog model; None for one that has no projection here."""
    file = _FOLDER / f"{model}.npz"
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as stored:
        return TokenCoder(stored["mean"].astype(np.float32), stored["axes"].astype(np.float32))
