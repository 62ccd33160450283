"""Texts of different lengths into batches, and batches through several threads at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Row numbers in batches, longest first; rows x longest row of a batch stays within `budget` tokens (a longer row goes
    alone). Rows of like length share a batch, so that little is padding; ties keep their order."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    out: list[list[int]] = []
    for i in order:
        if out and (len(out[-1]) + 1) * lengths[out[-1][0]] <= budget:
            out[-1].append(i)
        else:
            out.append([i])
    return out


def side_by_side(work: Callable[[T], R], items: Iterable[T], lanes: int) -> Iterator[R]:
    """`work` of each item, in their order, `lanes` at once; at most one more is begun before its turn to be taken. An exception of
    `work` comes up in the place of its result."""
    with ThreadPoolExecutor(lanes) as pool:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > lanes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
