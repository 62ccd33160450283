"""Examples into training, validation and test, split by document so that nothing told in one part is asked in another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eval.lora.examples import Example

SHARES = {"test": 0.1, "validation": 0.1}  # the rest trains


@dataclass(frozen=True, slots=True)
class Split:
    """The parts, and the examples that belong to none because their documents lie in different parts."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    across: tuple[Example, ...]

    def part(self, name: str) -> tuple[Example, ...]:
        found: tuple[Example, ...] = getattr(self, name)
        return found


def split(examples: Sequence[Example], seed: int, same: Iterable[Sequence[str]] = ()) -> Split:
    """80 / 10 / 10 of the examples, by whole documents, the same for the same seed.

    `same` are groups of documents that tell the same things (versions, duplicates): they stay together. An example without
    documents stands for itself. An example over documents of different parts is in none of them, unless its documents hang
    together anyway.
    """
    owner = _families(same)
    weight: dict[str, int] = {}
    for example in examples:
        for family in _families_of(example, owner):
            weight[family] = weight.get(family, 0) + 1
    part = _assign(weight, len(examples), seed)
    found: dict[str, list[Example]] = {"train": [], "validation": [], "test": [], "across": []}
    for example in examples:
        parts = {part[family] for family in _families_of(example, owner)}
        found[parts.pop() if len(parts) == 1 else "across"].append(example)
    return Split(tuple(found["train"]), tuple(found["validation"]), tuple(found["test"]), tuple(found["across"]))


def _assign(weight: Mapping[str, int], total: int, seed: int) -> dict[str, str]:
    """Family -> part. Families are drawn in seeded order into test, then validation, while they fit; the rest trains. A
    family larger than a part's share trains, so that one large document does not become the whole test."""
    order = sorted(weight, key=lambda f: hashlib.sha256(f"{seed}:{f}".encode()).hexdigest())
    part: dict[str, str] = {}
    for name, share in SHARES.items():
        wanted = max(1, round(share * total))
        room = wanted
        for family in order:
            if room <= 0:
                break
            if family not in part and weight[family] <= max(room, 1):
                part[family] = name
                room -= weight[family]
        # Nothing but large families: the smallest one left serves, so that the part is not empty.
        if room == wanted and (left := [f for f in order if f not in part]) and len(left) > 1:
            part[min(left, key=lambda f: (weight[f], f))] = name
    return {family: part.get(family, "train") for family in order}


def _families_of(example: Example, owner: Mapping[str, str]) -> set[str]:
    if not example.documents:
        return {f"example:{example.id or example.instruction}"}
    return {f"document:{owner.get(d, d)}" for d in example.documents}


def _families(groups: Iterable[Sequence[str]]) -> dict[str, str]:
    """Document -> the name of its family (union-find without ranks: the groups are small)."""
    owner: dict[str, str] = {}

    def root(d: str) -> str:
        while owner.get(d, d) != d:
            d = owner[d]
        return d

    for group in groups:
        first = root(group[0])
        for other in group[1:]:
            owner[root(other)] = first
        owner.setdefault(first, first)
    return {d: root(d) for d in owner}
