"""The built-in reranker's signals, by hand."""

from __future__ import annotations

from math import log1p

import numpy as np
import pytest

from rag.retrieval.signals import NAMES, WEIGHTS, Head, columns, feedback, rescored, standard
from rag.types import Chunk


def chunk(text: str, title: str = "") -> Chunk:
    return Chunk(1, "d", text, (0, len(text)), title=title)


def head(*chunks: Chunk, fused: list[float] | None = None, **facts: object) -> Head:
    n = len(chunks)
    nothing = np.full(n, np.nan, np.float32)
    known: dict[str, object] = {
        "terms": {"pump": 1.0, "seal": 1.0},
        "idf": {"pump": 1.0, "seal": 3.0},
        "chunks": chunks,
        "fused": np.array(fused or range(n, 0, -1), np.float32),
        "keyword": np.zeros(n, np.float32),
        "own": nothing,
        "across": nothing,
        "vectors": (),
        "codes": [None] * n,
    }
    return Head(**{**known, **facts})  # type: ignore[arg-type]


def test_every_language_weighs_every_signal() -> None:
    assert {len(w) for w in WEIGHTS.values()} == {len(NAMES)}


def test_text_signals_by_hand() -> None:
    found = dict(zip(NAMES, columns(head(chunk("The pump seal"), chunk("A seal", "Pump"))), strict=True))
    assert found["coverage"] == pytest.approx([1.0, 1.0])
    assert found["pairs"] == pytest.approx([1.0, 0.0])  # "pump seal" stands together in the first alone
    assert found["context"] == pytest.approx([0.0, 0.25])
    assert found["length"] == pytest.approx([log1p(3), log1p(3)])


def test_a_window_holds_what_stands_close_together() -> None:
    far = "pump " + "x " * 60 + "seal"
    found = dict(zip(NAMES, columns(head(chunk("pump and seal"), chunk(far))), strict=True))
    assert found["window"] == pytest.approx([1.0, 0.75])


def test_a_field_that_lacks_a_chunk_is_filled_from_the_other() -> None:
    own = np.array([np.nan, 0.2, 0.4], np.float32)
    across = np.array([0.9, 0.8, 0.7], np.float32)
    found = dict(zip(NAMES, columns(head(*[chunk("a")] * 3, own=own, across=across)), strict=True))
    # the first is best across, one deviation and a quarter above the mean there
    assert found["own"][0] == pytest.approx(0.3 + 0.1 * standard(across)[0], abs=1e-5)


def test_feedback_prefers_what_is_near_the_best() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1], [1, 0.1], [0, 1]], np.float32)
    found = feedback(np.array([5, 4, -9, -9.5, -10], np.float32), [vectors])
    assert found[3] > found[4]


def test_new_scores_keep_the_scale_of_the_old() -> None:
    h = head(chunk("pump seal"), chunk("pump"), chunk("none"), fused=[2.0, 1.0, 0.0])
    found = rescored(h, "en")
    assert found.mean() == pytest.approx(1.0, abs=1e-5)
    assert found.std() == pytest.approx(np.std([2.0, 1.0, 0.0]), abs=1e-5)


def test_candidates_that_nothing_tells_apart_keep_their_scores() -> None:
    h = head(chunk("pump"), chunk("pump"), chunk("pump"), fused=[1.0, 1.0, 1.0])
    assert list(rescored(h, "zh")) == [1.0, 1.0, 1.0]
