"""Token vectors in a few bytes."""

from __future__ import annotations

import numpy as np
import pytest

from rag.models.catalog import find
from rag.retrieval.fields import coder_of
from rag.retrieval.token_codes import BITS, TokenCoder, decode, projection_of
from rag.storage.card import FieldCard

DIM = 384


@pytest.fixture
def coder() -> TokenCoder:
    axes, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((DIM, BITS)))
    return TokenCoder(np.full(DIM, 0.5, np.float32), axes.astype(np.float32))


def some(n: int, seed: int = 1) -> np.ndarray:
    return (0.5 + np.random.default_rng(seed).standard_normal((n, DIM)) / 20).astype(np.float32)


def test_a_token_takes_32_bytes(coder: TokenCoder) -> None:
    assert len(coder.encode(some(7))) == 7 * 32
    assert decode(coder.encode(some(7))).shape == (7, BITS)
    assert decode(b"").shape == (0, BITS)


def test_projected_and_decoded_rows_are_unit(coder: TokenCoder) -> None:
    for rows in (coder.project(some(5)), decode(coder.encode(some(5)))):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_the_nearest_code_is_the_one_of_the_same_token(coder: TokenCoder) -> None:
    tokens = some(500)
    asked = tokens + some(500, seed=2) / 2 - 0.25  # the same, disturbed by half their own spread
    near = (coder.project(asked) @ decode(coder.encode(tokens)).T).argmax(axis=1)
    assert (near == np.arange(500)).mean() > 0.99


def test_what_is_shipped_fits_its_model() -> None:
    shipped = projection_of("multilingual-e5-small")
    encoder = find("multilingual-e5-small").encoder
    assert shipped is not None and encoder is not None
    assert shipped.mean.shape == (encoder.dim,)
    np.testing.assert_allclose(shipped.axes.T @ shipped.axes, np.eye(BITS), atol=2e-2)


def test_only_the_field_of_all_languages_has_codes() -> None:
    facts = ("multilingual-e5-small", 384)
    assert coder_of(FieldCard("e5", facts[0], ("*",), facts[1])) is not None
    assert coder_of(FieldCard("e5", facts[0], ("en",), facts[1])) is None
    assert coder_of(FieldCard("other", "somebody/model", ("*",), 8)) is None
