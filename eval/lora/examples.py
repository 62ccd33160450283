"""Training examples: instruction / input / output, and where each came from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.golden import language_of
from rag.errors import UsageError

PARTS = ("train", "validation", "test")
TEXT = "text"  # kind of an example that is plain document text: continued training, loss on all of it


@dataclass(frozen=True, slots=True)
class Example:
    """One example. `output` is what is learned; `instruction` and `input` are only read."""

    instruction: str
    input: str
    output: str
    id: str = ""
    documents: tuple[str, ...] = ()  # the documents it tells about: they decide its part of the split
    lang: str = "en"
    kind: str = "fact"
    evidence: str = ""  # verbatim text that the answer rests on
    origin: str = "golden"  # golden | generated | paraphrase | near-miss | raft | text
    sources: tuple[
        tuple[str, str], ...
    ] = ()  # (heading, text) of the sources of a RAFT example, as a RAG prompt shows them

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "instruction": self.instruction,
            "input": self.input,
            "output": self.output,
            "id": self.id,
            "documents": list(self.documents),
            "lang": self.lang,
            "kind": self.kind,
            "evidence": self.evidence,
            "origin": self.origin,
            **({"sources": [list(s) for s in self.sources]} if self.sources else {}),
        }


def read_examples(path: Path) -> list[Example]:
    """The examples of a JSON list or of JSON lines. Only `instruction` and `output` must be there.

    Raises UsageError for a file that is not that.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as e:
        raise UsageError(f"{path}: no such file; make the data set with `rag tune dataset`") from e
    try:
        records = (
            json.loads(text)
            if text.lstrip().startswith("[")
            else [json.loads(x) for x in text.splitlines() if x.strip()]
        )
    except json.JSONDecodeError as e:
        raise UsageError(f"{path}: not valid JSON (line {e.lineno}: {e.msg})") from e
    return [_example(record, path, number) for number, record in enumerate(records, 1)]


def _example(record: Any, path: Path, number: int) -> Example:
    if not isinstance(record, Mapping) or not isinstance(record.get("output"), str):
        raise UsageError(f"{path}: record {number} has no output; a record is instruction, input and output")
    instruction = str(record.get("instruction") or "")
    kind = str(record.get("kind") or "fact")
    if not instruction and kind != TEXT:
        raise UsageError(f"{path}: record {number} has no instruction")
    return Example(
        instruction,
        str(record.get("input") or ""),
        record["output"],
        id=str(record.get("id") or f"{path.stem}-{number}"),
        documents=tuple(str(d) for d in record.get("documents") or ()),
        lang=str(record.get("lang") or language_of(instruction + record["output"])),
        kind=kind,
        evidence=str(record.get("evidence") or ""),
        origin=str(record.get("origin") or "given"),
        sources=tuple((str(h), str(t)) for h, t in record.get("sources") or ()),
    )


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Writes a JSON list."""
    path.write_text(json.dumps([e.record() for e in examples], ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
