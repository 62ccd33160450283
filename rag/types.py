"""What flows through the system. Imports only the standard library.

A file becomes `Document`s, a document becomes `Chunk`s, a question becomes `Hit`s, `Citation`s and an `Answer`.
Every type is frozen: a step takes one type and returns the next. Spans are half-open `[start, end)` in characters of
`Document.text`, so `document.text[chunk.span[0]:chunk.span[1]] == chunk.text` always holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Span = tuple[int, int]
Mode = Literal["hybrid", "dense", "keyword"]
Verdict = Literal["supported", "partly", "unsupported"]
BlockKind = Literal["paragraph", "heading", "table", "code", "list"]


@dataclass(frozen=True, slots=True)
class Page:
    """A page, sheet or slide: where it lies in the text and how well it was read."""

    number: int  # 1-based
    span: Span
    label: str = "page"  # "page", "sheet Prices", "slide"
    text_score: float = 1.0  # 0 (garbage) .. 1 (clean); below `quality.RED` a citation says so
    ocr: bool = False
    tables: int = 0
    characters_lost: int = 0  # replacement characters, (cid:n), unmapped glyphs


@dataclass(frozen=True, slots=True)
class Block:
    """A structural piece of a document. Blocks are in order and do not overlap; a table or code block is never cut mid-row."""

    kind: BlockKind
    span: Span
    level: int = 0  # heading level 1..6, else 0


@dataclass(frozen=True, slots=True)
class Document:
    """One readable document of a collection: a file, or a member of an archive or a mail."""

    id: str  # stable, URL-safe: from root and path
    title: str
    text: str  # the cleaned text
    path: str  # relative to its root, '/' between parts; members as "archive.zip!/inner.md"
    root: str  # absolute folder it was read from, or "upload"
    content_hash: str  # SHA-256 hex of the text and structure as read: equal means unchanged
    pages: tuple[Page, ...] = ()
    blocks: tuple[Block, ...] = ()
    groups: frozenset[str] = frozenset({"public"})  # who may see it
    language: str = "en"  # "zh", "en", ...: the main language
    type: str = "text"  # reader that read it: "pdf", "docx", "markdown", ...
    date: str | None = None  # ISO 8601, of the document where known, else of the file
    author: str | None = None
    superseded_by: str | None = None  # id of a newer version of the same document


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document that is searched and cited as one."""

    id: int  # dense integer in its collection; -1 until the store has given it one
    document: str  # Document.id
    text: str
    span: Span
    page: int | None = None  # 1-based page of the first character
    heading: tuple[str, ...] = ()  # heading path, outermost first
    language: str = "en"
    title: str = ""  # of the document, carried as context for the indexes
    parent: Span = (0, 0)  # what may be read around it: search small, read around
    content_hash: str = ""  # SHA-256 hex of context + text: equal means the vectors can be reused

    @property
    def context(self) -> str:
        """Title and heading path, one line: embedded and indexed with the text, never part of the span."""
        parts = [p for p in (self.title, *self.heading) if p]
        return " > ".join(dict.fromkeys(parts))


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search, by one caller."""

    question: str
    k: int = 10
    mode: Mode = "hybrid"
    rerank: bool = True
    groups: frozenset[str] | None = None  # None = the operator: everything. An empty set sees nothing.
    as_of: int | None = None  # generation
    filter: str = ""  # "path=policies/* date>=2025-01-01 lang=zh type=pdf"
    explain: bool = False
    why_not: str | None = None  # document id, path or name
    history: tuple[Message, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.k <= 1000:
            raise ValueError(f"k must be between 1 and 1000, not {self.k}")


@dataclass(frozen=True, slots=True)
class StageScore:
    """Where a hit stood in one stage of the search. Scores of different stages share no scale."""

    rank: int  # 1-based
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found for a question, with the document facts a reader needs."""

    chunk: Chunk
    score: float
    rank: int  # 1-based
    title: str
    path: str
    text_score: float = 1.0  # of its page
    date: str | None = None
    stages: Mapping[str, StageScore] = field(default_factory=dict)  # "keyword", "dense", "fusion", "rerank", ...
    matched_terms: tuple[str, ...] = ()  # filled when the request asks to explain


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits of one generation, best first."""

    hits: tuple[Hit, ...]
    generation: int
    seconds: float
    query: str = ""  # the text that was searched for: the question made self-contained
    why_not: Mapping[str, Any] | None = None  # {"document", "stage", "reason", ...} when asked for
    notes: tuple[str, ...] = ()  # what the caller should know: "reranker X: no weights, ranking is the fusion's"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Citation:
    """A numbered source of an answer, always shown in its page."""

    n: int
    chunk: int  # Chunk.id
    document: str
    title: str
    path: str
    page: int | None
    span: Span  # of the quote, in the document's text
    quote: str  # document.text[span[0]:span[1]]
    text_score: float = 1.0  # of its page: a citation from a badly read page says so


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an answer and whether its sources support it."""

    text: str
    verdict: Verdict
    citations: tuple[int, ...]  # Citation.n
    span: Span = (0, 0)  # in the answer's text
    reason: str = ""  # what failed: "number 32 is not in [1]"


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds from the request, and tokens."""

    retrieve: float = 0.0
    first_token: float = 0.0
    total: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    answer_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the system says to a question, with its proof."""

    question: str
    status: Literal["answered", "abstained"]
    text: str
    citations: tuple[Citation, ...]
    sentences: tuple[Sentence, ...]
    hits: tuple[Hit, ...]
    timings: Timings
    model: str
    generation: int
    finish_reason: Literal["stop", "length", "cancelled"] = "stop"
    confidence: float | None = None  # 0..1, calibrated on the collection where a calibration is stored


# What a generator's stream yields: any number of TextDelta, then exactly one GenerationEnd.
@dataclass(frozen=True, slots=True)
class TextDelta:
    """Some more text."""

    text: str


@dataclass(frozen=True, slots=True)
class GenerationEnd:
    """The end of a generation and its counts in tokens."""

    finish_reason: Literal["stop", "length", "cancelled"]
    prompt_tokens: int
    cached_tokens: int
    answer_tokens: int


# What an answer's stream yields: one SourcesFound, any number of TextDelta (already safe to show), one AnswerDone.
@dataclass(frozen=True, slots=True)
class SourcesFound:
    """The hits that were offered to the model, numbered from 1 in this order."""

    hits: tuple[Hit, ...]
    generation: int


@dataclass(frozen=True, slots=True)
class AnswerDone:
    """The finished answer. Its text is the truth; the deltas before it are a preview."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class AskRequest:
    """One question to be answered, for one caller. `search.question` is the question, `search.history` the turns before it."""

    search: SearchRequest
    max_tokens: int | None = None
    temperature: float = 0.0
    seed: int = 0
    schema: Mapping[str, Any] | None = None  # JSON schema the answer must follow


@dataclass(frozen=True, slots=True)
class FailedFile:
    """A file that could not be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class PageReport:
    """The parse quality of one page, for the ledger."""

    path: str
    page: int
    text_score: float
    ocr: bool
    tables: int
    characters_lost: int


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What happened to every file of a run. Paths are as the user gave them, relative to their root."""

    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: int = 0
    removed: tuple[str, ...] = ()
    failed: tuple[FailedFile, ...] = ()
    skipped: tuple[FailedFile, ...] = ()  # not documents: unknown type, ignored, empty
    moved: tuple[tuple[str, str], ...] = ()
    red_pages: tuple[PageReport, ...] = ()
    chunks: int = 0  # in the files added or updated
    embedded: int = 0  # chunks embedded in this run
    seconds: float = 0.0
    generation: int = 0
