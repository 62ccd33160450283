"""BEIR-style data sets (Thakur et al. 2021): a folder of corpus.jsonl, queries.jsonl and qrels.tsv, the first two possibly gzipped."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.errors import UsageError

LANGUAGES = ("lang", "language")
KINDS = ("kind", "question_type", "split", "derived")  # the first that a set has tells its kinds of question apart


@dataclass(frozen=True)
class Query:
    """A question and its judged documents."""

    id: str
    text: str
    relevant: Mapping[str, int]  # document id -> grade, 1 and up
    labels: Mapping[str, str] = field(default_factory=dict)  # "lang": "zh", "kind": "..."


@dataclass(frozen=True)
class Passage:
    """A document of the corpus."""

    id: str
    title: str
    text: str


def corpus_file(folder: Path) -> Path:
    """The corpus file. Raises UsageError when the folder is no data set."""
    return _file(folder, "corpus.jsonl")


def corpus(folder: Path) -> Iterator[Passage]:
    """The documents in the order of the file."""
    for number, row in _rows(corpus_file(folder)):
        if "id" not in row or "text" not in row:
            raise UsageError(f"{folder}/corpus.jsonl, line {number}: a document needs `id` and `text`")
        yield Passage(str(row["id"]), str(row.get("title") or ""), str(row["text"]))


def queries(folder: Path, limit: int | None = None) -> list[Query]:
    """The judged questions; with a limit the first so many of them. Raises UsageError."""
    judged = qrels(folder)
    found = []
    for number, row in _rows(_file(folder, "queries.jsonl")):
        if "id" not in row or "query" not in row:
            raise UsageError(f"{folder}/queries.jsonl, line {number}: a question needs `id` and `query`")
        relevant = judged.get(str(row["id"]), {})
        if relevant:
            found.append(Query(str(row["id"]), str(row["query"]), relevant, _labels(row)))
    if not found:
        raise UsageError(
            f"{folder}: no question has a relevant document; check that qrels.tsv uses the ids of queries.jsonl"
        )
    return found if limit is None else found[:limit]


def qrels(folder: Path) -> dict[str, dict[str, int]]:
    """Question id -> document id -> grade; judgements of 0 and below are left out."""
    judged: dict[str, dict[str, int]] = {}
    lines = _file(folder, "qrels.tsv").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        parts = line.split("\t")
        if number == 1 and parts[-1] in ("score", "relevance"):
            continue
        try:
            question, document, grade = parts[0], parts[1], int(float(parts[2]))
        except (IndexError, ValueError) as e:
            raise UsageError(f"{folder}/qrels.tsv, line {number}: not `query-id <tab> corpus-id <tab> score`") from e
        if grade > 0:
            judged.setdefault(question, {})[document] = grade
    return judged


def _labels(row: Mapping[str, Any]) -> dict[str, str]:
    labels = {}
    language = next((row[k] for k in LANGUAGES if row.get(k)), None)
    kind = next((row[k] for k in KINDS if isinstance(row.get(k), str)), None)
    if language:
        labels["lang"] = str(language)
    if kind:
        labels["kind"] = str(kind)
    return labels


def _file(folder: Path, name: str) -> Path:
    names: Sequence[Path] = (folder / name, folder / f"{name}.gz")
    found = next((f for f in names if f.is_file()), None)
    if found is None:
        raise UsageError(
            f"{folder}: no {name} in it; a data set is a folder of corpus.jsonl, queries.jsonl and qrels.tsv"
        )
    return found


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    raw = file.read_bytes()
    text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode("utf-8")
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as e:
            raise UsageError(f"{file}, line {number}: not valid JSON ({e})") from e
        if not isinstance(row, dict):
            raise UsageError(f"{file}, line {number}: not a JSON object")
        yield number, row
