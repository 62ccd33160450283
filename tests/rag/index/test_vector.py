"""Vector search against brute force, inside allowed sets of every size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag.errors import CorruptCollection
from rag.index.vector import VectorIndex, coarse_bytes, flat_bytes


def unit_rows(n: int, dim: int, seed: int = 0) -> np.ndarray:
    """Clustered, as texts are: unrelated random vectors have no neighbours worth the name."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, n // 50), dim))
    rows = centres[rng.integers(len(centres), size=n)] + 0.5 * rng.standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def index_of(vectors: np.ndarray, folder: Path, coarse: bool = False) -> VectorIndex:
    (folder / "f").write_bytes(flat_bytes(vectors).tobytes())
    if coarse:
        (folder / "c").write_bytes(coarse_bytes(vectors).tobytes())
    return VectorIndex(np.arange(len(vectors), dtype=np.int32), folder / "f", folder / "c" if coarse else None)


def brute(vectors: np.ndarray, query: np.ndarray, allowed: np.ndarray, k: int) -> set[int]:
    scores = np.where(allowed, vectors @ query, -np.inf)
    return {int(i) for i in np.lexsort((np.arange(len(scores)), -scores))[: min(k, allowed.sum())]}


def test_three_vectors_by_hand(tmp_path: Path) -> None:
    index = index_of(np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32), tmp_path)
    at, scores = index.search(np.array([1, 0], np.float32), None, 2)
    assert dict(zip(at.tolist(), scores.tolist(), strict=True)) == pytest.approx({0: 1.0, 2: 0.6})


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.001])
@pytest.mark.parametrize("threads", [1, 2])
def test_exact_search_equals_brute_force_in_any_allowed_set(tmp_path: Path, share: float, threads: int) -> None:
    vectors = unit_rows(70_000, 32)
    index = index_of(vectors, tmp_path)
    allowed = np.random.default_rng(1).random(len(vectors)) < share
    for query in unit_rows(10, 32, seed=2):
        at, scores = index.search(query, None if share == 1 else allowed, 10, threads=threads)
        best = at[np.lexsort((at, -scores))][:10]
        assert {int(i) for i in best} == brute(vectors, query, allowed, 10)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.001])
def test_coarse_search_finds_at_least_99_in_100_of_the_true_neighbours(tmp_path: Path, share: float) -> None:
    vectors = unit_rows(60_000, 64)
    index = index_of(vectors, tmp_path, coarse=True)
    allowed = np.random.default_rng(1).random(len(vectors)) < share
    found = 0
    for query in unit_rows(50, 64, seed=3):
        at, scores = index.search(query, allowed, 10, exact=False, threads=2)
        best = at[np.lexsort((at, -scores))][:10]
        found += len({int(i) for i in best} & brute(vectors, query, allowed, 10))
        np.testing.assert_allclose(scores, vectors[at] @ query, rtol=1e-4)  # in full precision
    assert found >= 0.99 * 50 * 10


def test_nothing_allowed_finds_nothing(tmp_path: Path) -> None:
    at, _ = index_of(unit_rows(10, 8), tmp_path).search(np.ones(8, np.float32), np.zeros(10, bool), 5)
    assert len(at) == 0


def test_file_with_another_number_of_vectors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(flat_bytes(unit_rows(3, 8)).tobytes())
    with pytest.raises(CorruptCollection, match="3 vectors where 4"):
        VectorIndex(np.arange(4, dtype=np.int32), tmp_path / "f")


def test_file_that_is_no_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 100)
    with pytest.raises(CorruptCollection, match="not a vector index"):
        VectorIndex(np.arange(4, dtype=np.int32), tmp_path / "f")
