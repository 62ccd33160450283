"""Questions of several data sets asked of one corpus. Pure but for reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eval.datasets import Query, queries
from rag.errors import UsageError

BETWEEN = "::"  # between a set's name and an id


def pooled(folders: Sequence[Path], limit: int | None) -> tuple[list[Query], list[str]]:
    """The questions of all sets and the sets' names. With several sets every id gets its set's name in front, and every
    question a label "set", so that each can be compared with the figure of its set alone."""
    names = [f.resolve().name for f in folders]
    if len(set(names)) != len(names):
        raise UsageError(f"--pool: two data sets are called {max(names, key=names.count)!r}; rename a folder")
    if len(folders) == 1:
        return queries(folders[0], limit), names
    found = []
    for folder, name in zip(folders, names, strict=True):
        for q in queries(folder, limit):
            relevant = {f"{name}{BETWEEN}{d}": grade for d, grade in q.relevant.items()}
            labels = {**q.labels, "set": name}
            found.append(replace(q, id=f"{name}{BETWEEN}{q.id}", relevant=relevant, labels=labels))
    return found, names
