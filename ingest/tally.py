"""What a run of ingesting did with every file, and which pages it read badly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest.documents import member_path
from ingest.quality import RED, measure
from rag.types import Document, FailedFile, IngestReport, PageReport

_MEASURED = 200_000  # characters of a document without pages that its score is taken from


@dataclass
class Tally:
    """What happened so far in a run; its report."""

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    failed: list[FailedFile] = field(default_factory=list)
    skipped: list[FailedFile] = field(default_factory=list)
    red: list[PageReport] = field(default_factory=list)
    unchanged: int = 0
    chunks: int = 0

    def report(self, embedded: int, seconds: float, generation: int) -> IngestReport:
        return IngestReport(
            tuple(self.added), tuple(self.updated), self.unchanged, tuple(self.removed), tuple(self.failed), tuple(self.skipped),
            tuple(self.moved), tuple(self.red), self.chunks, embedded, seconds, generation,
        )  # fmt: skip

    def unread(self, path: str, failed: Sequence[tuple[str, str]], skipped: Sequence[tuple[str, str]]) -> None:
        """What of the file at `path` could not be read, or was left out."""
        self.failed.extend(FailedFile(member_path(path, m), r) for m, r in failed)
        self.skipped.extend(FailedFile(member_path(path, m), r) for m, r in skipped)


def red_pages(document: Document) -> list[PageReport]:
    """The pages of a document that were read badly; a document without pages counts as one."""
    if not document.pages:
        found = measure(document.text[:_MEASURED])
        return [PageReport(document.path, 1, found.score, False, 0, found.characters_lost)] if found.score < RED else []
    return [
        PageReport(document.path, p.number, p.text_score, p.ocr, p.tables, p.characters_lost)
        for p in document.pages
        if p.text_score < RED
    ]
