"""Texts of different lengths into batches. Pure."""

from __future__ import annotations

from collections.abc import Sequence


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
