"""The split by document."""

from __future__ import annotations

from eval.lora.examples import Example
from eval.lora.splitting import split


def _examples(documents: int, each: int) -> list[Example]:
    return [
        Example(f"question {d}-{k}", "", "answer", id=f"{d}-{k}", documents=(f"d{d}",))
        for d in range(documents)
        for k in range(each)
    ]


def test_a_document_lies_in_one_part_only() -> None:
    found = split(_examples(40, 4), seed=1)
    parts = [{d for e in found.part(p) for d in e.documents} for p in ("train", "validation", "test")]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert [len(found.part(p)) for p in ("train", "validation", "test")] == [128, 16, 16]


def test_the_seed_decides_alone() -> None:
    examples = _examples(30, 2)
    assert split(examples, 1).test == split(examples, 1).test
    assert {e.id for e in split(examples, 1).test} != {e.id for e in split(examples, 2).test}


def test_versions_of_a_document_stay_together() -> None:
    examples = _examples(20, 3)
    found = split(examples, 0, same=[(f"d{i}", f"d{i + 10}") for i in range(10)])
    for part in ("train", "validation", "test"):
        documents = {int(d[1:]) for e in found.part(part) for d in e.documents}
        assert documents == {(d + 10) % 20 for d in documents}


def test_an_example_over_two_parts_is_in_none() -> None:
    examples = _examples(20, 2)
    found = split(examples, 0)
    one, other = found.train[0].documents[0], found.test[0].documents[0]
    both = Example("both?", "", "x", id="both", documents=(one, other))
    again = split([*examples, both], 0)
    placed = {p: {e.id for e in again.part(p)} for p in ("train", "validation", "test", "across")}
    parts = {p for p in ("train", "validation", "test") for e in again.part(p) if e.documents[0] in (one, other)}
    assert "both" in placed["across" if len(parts) > 1 else parts.pop()]


def test_no_part_is_empty_even_with_large_documents() -> None:
    found = split(_examples(3, 10), seed=0)
    assert all(found.part(p) for p in ("train", "validation", "test"))


def test_examples_without_documents_stand_for_themselves() -> None:
    examples = [Example(f"q{i}", "", "a", id=str(i)) for i in range(50)]
    found = split(examples, 3)
    assert (len(found.train), len(found.validation), len(found.test)) == (40, 5, 5)
