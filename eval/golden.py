"""Golden questions: what is asked, what a right answer says, and where it stands."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rag.errors import UsageError

_CHINESE = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True, slots=True)
class GoldSpan:
    """Where an answer stands: a document and the words there."""

    document: str
    quote: str


@dataclass(frozen=True, slots=True)
class GoldenQuestion:
    """A question and how to know a right answer to it."""

    id: str
    question: str
    answers: tuple[str, ...] = ()  # any of these
    parts: tuple[tuple[str, ...], ...] = ()  # every one of these facts, each in any of its wordings
    outdated: tuple[
        str, ...
    ] = ()  # answers that were right once: of an older version, or before the document was changed
    lang: str = "en"
    kind: str = "fact"
    documents: tuple[str, ...] = ()  # paths (or ids) of the gold documents
    spans: tuple[GoldSpan, ...] = ()
    split: str = ""  # "trial", "dev", "train", ...: where the set itself says so
    context: str = ""  # text that comes with the question (`input` of an instruction data set)
    tags: tuple[str, ...] = field(default=())

    @property
    def answerable(self) -> bool:
        return bool(self.answers or self.parts)

    @property
    def facts(self) -> tuple[tuple[str, ...], ...]:
        """The facts a right answer states, each as its accepted wordings; empty when the right answer is to refuse."""
        return self.parts or ((self.answers,) if self.answers else ())

    @property
    def reference(self) -> tuple[str, ...]:
        """Accepted answers as single texts, for measures that compare whole texts."""
        whole = (" ".join(p[0] for p in self.parts),) if self.parts else ()
        return (*whole, *self.answers)


def read_questions(path: Path) -> list[GoldenQuestion]:
    """The questions of a file (JSON lines, or a list of instruction/input/output records) or of every such file of a
    folder, in file order. Raises UsageError when there is none or a line cannot be understood."""
    if path.is_dir():
        names = sorted(p for p in path.iterdir() if p.name.endswith((".jsonl", ".jsonl.gz")))
        queries = [p for p in names if p.name.startswith("queries.jsonl")]
        files = queries or [p for p in names if not p.name.startswith("corpus.jsonl")]
        if not files:
            raise UsageError(f"{path}: no questions (*.jsonl) in this folder")
    elif path.is_file():
        files = [path]
    else:
        raise UsageError(f"{path}: no such file or folder of questions")
    found = [question for file in files for question in _read_file(file)]
    if not found:
        raise UsageError(f"{path}: no questions in it")
    if path.is_dir() and (path / "qrels.tsv").is_file():
        gold = _judged(path / "qrels.tsv")
        found = [q if q.documents else replace(q, documents=gold.get(q.id, ())) for q in found]
    twice = _first_twice(q.id for q in found)
    if twice is not None:
        raise UsageError(f"{path}: the id {twice!r} stands there twice; ids must differ")
    return found


def _judged(qrels: Path) -> dict[str, tuple[str, ...]]:
    """Question id -> ids of the relevant passages."""
    gold: dict[str, list[str]] = {}
    for line in qrels.read_text(encoding="utf-8").splitlines()[1:]:
        parts = line.split("\t")
        if len(parts) >= 3 and float(parts[2]) > 0:
            gold.setdefault(parts[0], []).append(parts[1])
    return {question: tuple(documents) for question, documents in gold.items()}


def _read_file(file: Path) -> list[GoldenQuestion]:
    raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    text = raw.decode("utf-8-sig")
    try:
        if text.lstrip().startswith("["):
            records = json.loads(text)
        else:
            records = [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as e:
        raise UsageError(f"{file}: line {e.lineno} is not valid JSON ({e.msg})") from e
    return [_question(record, file, number) for number, record in enumerate(records, 1)]


def _question(record: Any, file: Path, number: int) -> GoldenQuestion:
    """One record: a golden line, a BEIR-style query, or an instruction."""
    if not isinstance(record, Mapping):
        raise UsageError(f"{file}: record {number} is not an object")
    text = record.get("question") or record.get("query") or record.get("instruction")
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"{file}: record {number} has no question, query or instruction")
    if "output" in record and "answers" not in record:
        answers: Sequence[str] = [str(record["output"])]
    else:
        answers = record.get("answers") or []
    kind = str(record.get("kind") or "fact")
    if kind == "unanswerable":
        answers = []
    parts = record.get("answers_all") or []
    return GoldenQuestion(
        id=str(record.get("id") or f"{file.stem}-{number}"),
        question=text.strip(),
        answers=tuple(dict.fromkeys(str(a) for a in answers)),
        parts=tuple(tuple(str(a) for a in part) for part in parts) if kind != "unanswerable" else (),
        outdated=tuple(str(a) for a in record.get("outdated") or ()),
        lang=str(record.get("lang") or language_of(text)),
        kind=kind,
        documents=tuple(str(d) for d in record.get("documents") or ()),
        spans=tuple(GoldSpan(str(s["document"]), str(s["quote"])) for s in record.get("spans") or ()),
        split=str(record.get("split") or ""),
        context=str(record.get("input") or ""),
    )


def language_of(text: str) -> str:
    """ "zh" for a text with Chinese characters, else "en": which language an answer to it should be in."""
    return "zh" if _CHINESE.search(text) else "en"


def sample(questions: Sequence[GoldenQuestion], limit: int | None, seed: int) -> list[GoldenQuestion]:
    """At most `limit` questions, spread evenly over the kinds and languages, the same for the same seed whatever the order
    of the input."""

    def draw(q: GoldenQuestion) -> str:
        return hashlib.sha256(f"{seed}:{q.id}".encode()).hexdigest()

    ordered = sorted(questions, key=draw)
    if limit is None or limit >= len(ordered):
        return ordered
    piles: dict[tuple[str, str], list[GoldenQuestion]] = {}
    for question in ordered:
        piles.setdefault((question.kind, question.lang), []).append(question)
    chosen: list[GoldenQuestion] = []
    while len(chosen) < limit:
        for key in sorted(piles):
            if piles[key] and len(chosen) < limit:
                chosen.append(piles[key].pop(0))
    return chosen


def fingerprint(questions: Iterable[GoldenQuestion]) -> str:
    """SHA-256 hex of ids, questions and accepted answers: equal means the same frozen questions."""
    digest = hashlib.sha256()
    for q in sorted(questions, key=lambda q: q.id):
        digest.update(json.dumps([q.id, q.question, q.answers, q.parts], ensure_ascii=False).encode())
    return digest.hexdigest()


def _first_twice(ids: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for i in ids:
        if i in seen:
            return i
        seen.add(i)
    return None
