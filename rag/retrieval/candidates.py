"""The candidates of a query on their way to hits: fused, then read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rag.retrieval import explain
from rag.retrieval.pool import KEYWORD, Pool
from rag.storage.snapshot import DocumentInfo
from rag.types import Chunk, StageScore


@dataclass(frozen=True, eq=False)
class Fused:
    """The pool of one query and its fused scores, (n,) each in the order of `pool.ids`."""

    pool: Pool
    dense: NDArray[np.float32]
    scores: NDArray[np.float32]
    alien: NDArray[np.bool_]  # in another language than the question
    foreign: float = 0.0  # share of other languages than the question's in what the caller may see

    @cached_property
    def _columns(self) -> dict[str, explain.Column]:
        columns: dict[str, explain.Column] = {}
        for name, signal in self.pool.signals.items():
            held = np.where(signal.scores > 0, signal.scores, np.nan) if name == KEYWORD else signal.scores
            columns[name] = explain.Column(held.astype(np.float32))
        if self.pool.dense:
            columns["dense"] = explain.Column(self.dense)
        columns["fusion"] = explain.Column(self.scores)
        return columns

    def best(self, n: int) -> list[int]:
        """The `n` best candidates."""
        return [int(at) for at in self._order[:n]]

    def best_of_each(self, n: int) -> list[int]:
        """The `n` best candidates in the question's language, and the `n` best in others; none where there is one language only."""
        if not self.foreign:
            return []
        return [int(at) for side in (False, True) for at in self._order[self.alien[self._order] == side][:n]]

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(-self.scores, kind="stable")

    def stages(self, at: int) -> dict[str, StageScore]:
        """The stages that candidate `at` stands in, with its rank and score."""
        return {name: stood for name, column in self._columns.items() if (stood := column[at]) is not None}


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate that was read."""

    chunk: Chunk
    info: DocumentInfo
    score: float
    stages: Mapping[str, StageScore]
