"""The RGB benchmark (Chen, Lin, Han, Sun, AAAI 2024): cases from its files, and its measures. Pure but for reading."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eval.golden import language_of
from eval.text_metrics import states
from rag.errors import UsageError

Part = Literal["refine", "int", "fact"]
Facts = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One question of RGB."""

    id: str
    part: Part
    lang: str
    question: str
    facts: Facts  # every one must be said, each in any of its wordings
    positive: tuple[str, ...]  # documents with the answer; of "int" the parts' documents in turn
    negative: tuple[str, ...]
    positive_wrong: tuple[str, ...] = ()  # documents that state the false answer
    false_answer: str = ""


def read_cases(folder: Path, limit: int | None = None) -> list[Case]:
    """The cases of every RGB file of a folder; `limit` of each file. Raises UsageError when there is none."""
    found: list[Case] = []
    for file in sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")]):
        lang, _, part = file.name.partition(".")[0].partition("_")
        if part not in ("refine", "int", "fact"):
            continue
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        lines = [json.loads(line) for line in raw.decode("utf-8").splitlines() if line.strip()]
        found += [_case(r, part, lang, f"{lang}-{part}-{r.get('id', n)}") for n, r in enumerate(lines)][:limit]  # type: ignore[arg-type]
    if not found:
        raise UsageError(f"{folder}: no RGB files (*_refine, *_int or *_fact .jsonl) in it")
    return found


def _case(r: Mapping[str, Any], part: Part, lang: str, name: str) -> Case:
    positive = r.get("positive") or []
    if part == "int":  # one list of documents per part: take them in turn, so that the first ones cover every part
        lists = [p if isinstance(p, list) else [p] for p in positive]
        positive = [p[i] for i in range(max(map(len, lists), default=0)) for p in lists if i < len(p)]
    return Case(
        name,
        part,
        lang or language_of(r["query"]),
        r["query"],
        _facts(r.get("answer")),
        tuple(map(str, positive)),
        tuple(map(str, r.get("negative") or ())),
        tuple(map(str, r.get("positive_wrong") or ())),
        _first(r.get("fakeanswer")),
    )


def _facts(answer: Any) -> Facts:
    """`answer` is a string, or a list of which every item is needed (a list in it holds its wordings), as the paper's own script has it."""
    if isinstance(answer, str):
        return ((answer,),)
    return tuple(tuple(map(str, a)) if isinstance(a, list) else (str(a),) for a in answer or ())


def _first(value: Any) -> str:
    if isinstance(value, list):
        return _first(value[0]) if value else ""
    return str(value or "")


def documents_at(case: Case, noise: float, count: int, seed: int, others: Sequence[str] = ()) -> list[str]:
    """`count` documents of which the share `noise` does not have the answer, shuffled; negatives of other questions fill up
    where a question has too few. At least one positive below noise 1; of "int" one of every part where there is room."""
    bad = round(noise * count)
    good = count - bad
    if noise < 1:
        good = max(1, good)
    rng = random.Random(f"{seed}:{case.id}:{noise}")
    chosen = list(case.positive[:good]) if noise < 1 else []
    negative = list(case.negative)
    rng.shuffle(negative)
    spare = [d for d in others if d not in negative]
    rng.shuffle(spare)
    chosen += (negative + spare)[: count - len(chosen)]
    rng.shuffle(chosen)
    return chosen


def correct(case: Case, text: str) -> bool:
    """Whether every fact is said (the paper's accuracy)."""
    return bool(case.facts) and all(any(states(text, w) for w in fact) for fact in case.facts)


def words(found: Mapping[str, Any]) -> str:
    """The figures as lines of text."""
    lines = []
    for name, of in found["runs"].items():
        for measure, f in of.items():
            lines.append(f"{name:6} {measure:32} {f['mean']:.3f} [{f['low']:.3f}, {f['high']:.3f}]  n {f['n']}")
    for c in found["comparisons"]:
        lines.append(
            f"rag - plain, {c['measure']}: {c['difference']:+.3f} [{c['low']:+.3f}, {c['high']:+.3f}], p {c['p_corrected']:.3f}"
        )
    return "\n".join(lines)
