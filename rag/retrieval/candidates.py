"""The candidates of a query on their way to hits: fused, read, and brought up where scores of two languages cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rag.retrieval import explain, other_language
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
    elsewhere: float = 0.0  # the chance that the answer stands in another language than the question's

    @cached_property
    def _columns(self) -> dict[str, list[StageScore | None]]:
        columns: dict[str, list[StageScore | None]] = {}
        for name, signal in self.pool.signals.items():
            held = np.where(signal.scores > 0, signal.scores, np.nan) if name == KEYWORD else signal.scores
            columns[name] = explain.standing(held.astype(np.float32))
        if self.pool.dense:
            columns["dense"] = explain.standing(self.dense)
        columns["fusion"] = explain.standing(self.scores)
        return columns

    def best(self, n: int) -> list[int]:
        """The `n` best candidates, and the best in another language where that one is to be brought up."""
        order = np.argsort(-self.scores, kind="stable")
        chosen = order[:n].tolist()
        if other_language.place(self.elsewhere) is not None:
            chosen += [at for at in order[self.alien[order]][:1].tolist() if at not in chosen]
        return chosen

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


def lifted(found: list[Found], fused: Fused) -> list[Found]:
    """The best candidate in another language than the question's brought up as far as the answer may stand there."""
    place = other_language.place(fused.elsewhere)
    aliens = set(fused.pool.ids[fused.alien].tolist())
    at = next((i for i, f in enumerate(found) if f.chunk.id in aliens), None)
    if place is None or at is None or at <= place:
        return found
    above = found[place - 1].score if place else found[0].score + 0.2
    stages = {**found[at].stages, "other language": StageScore(place + 1, fused.elsewhere)}
    up = replace(found[at], score=(above + found[place].score) / 2, stages=stages)
    return [*found[:place], up, *found[place:at], *found[at + 1 :]]
