"""The bodies of HTTP responses. They are made by `rag.wire`; the models here describe them in the OpenAPI document (and a fuzz test holds
both together)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

Span = Annotated[list[int], Field(min_length=2, max_length=2)]  # [start, end)


class ErrorFacts(BaseModel):
    """What went wrong."""

    message: str
    type: str
    code: str
    param: str | None
    details: Any


class Error(BaseModel):
    """The one shape of errors."""

    error: ErrorFacts


class StageOut(BaseModel):
    rank: int
    score: float


class HitOut(BaseModel):
    """A passage."""

    rank: int
    score: float
    document: str
    title: str
    path: str
    page: int | None
    heading: str
    span: Span
    text: str
    date: str | None
    text_score: float
    stages: dict[str, StageOut]
    matched_terms: list[str] = []


class SearchOut(BaseModel):
    """Passages, best first."""

    hits: list[HitOut]
    seconds: float
    generation: int
    query: str = ""  # the text that was searched for, where it is not the question
    why_not: dict[str, Any] | None = None
    notes: list[str] = []


class CitationOut(BaseModel):
    """A numbered source; the span is in the document's text."""

    n: int
    document: str
    title: str
    path: str
    page: int | None
    span: Span
    quote: str
    text_score: float


class SentenceOut(BaseModel):
    """A sentence of the answer and whether its sources support it."""

    text: str
    verdict: Literal["supported", "partly", "unsupported"]
    citations: list[int]
    span: Span
    reason: str


class TimingsOut(BaseModel):
    retrieve: float
    first_token: float
    total: float
    prompt_tokens: int
    cached_tokens: int
    answer_tokens: int


class AnswerOut(BaseModel):
    """An answer with its proof."""

    id: str
    status: Literal["answered", "abstained"]
    answer: str
    citations: list[CitationOut]
    sentences: list[SentenceOut]
    timings: TimingsOut
    model: str
    generation: int
    finish_reason: str
    confidence: float | None


class ChatMessageOut(BaseModel):
    role: Literal["assistant"]
    content: str


class ChoiceOut(BaseModel):
    index: int
    message: ChatMessageOut
    finish_reason: str


class UsageOut(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int]


class ChatOut(BaseModel):
    """OpenAI's chat completion, with citations and the verdict on every sentence."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChoiceOut]
    usage: UsageOut
    citations: list[CitationOut]
    sentences: list[SentenceOut]
    status: Literal["answered", "abstained"]
    generation: int


class ModelOut(BaseModel):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelsOut(BaseModel):
    object: Literal["list"]
    data: list[ModelOut]


class DocumentOut(BaseModel):
    """A document as the list shows it."""

    document: str
    title: str
    path: str
    groups: list[str]
    chunks: int
    date: str | None = None
    language: str = ""
    type: str = ""


class DocumentsOut(BaseModel):
    documents: list[DocumentOut]
    total: int


class PageOut(BaseModel):
    number: int
    label: str
    span: Span
    text_score: float


class DocumentDetail(DocumentOut):
    """A document and where its pages lie in its text."""

    characters: int
    pages: list[PageOut]
    picture: bool  # whether its pages can be shown as pictures
    superseded_by: str | None


class TextOut(BaseModel):
    """A piece of a document's text."""

    document: str
    title: str
    start: int
    end: int
    characters: int
    text: str
    headings: list[Annotated[list[int], Field(min_length=3, max_length=3)]]  # level, start, end: those in the piece


class RemovedOut(BaseModel):
    removed: str
    generation: int


class JobOut(BaseModel):
    """A job and how far it is."""

    job: str
    kind: str
    name: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    stage: str
    done: int
    total: int
    created: str
    updated: str
    report: dict[str, Any] | None
    error: str | None


class JobsOut(BaseModel):
    jobs: list[JobOut]


class CollectionOut(BaseModel):
    name: str
    documents: int
    generation: int
    default: bool


class CollectionsOut(BaseModel):
    collections: list[CollectionOut]


class FeedbackOut(BaseModel):
    id: str
    created: str
    key: str
    collection: str
    answer_id: str
    rating: str
    comment: str
    question: str
    answer: str


class FeedbackList(BaseModel):
    feedback: list[FeedbackOut]


class FeedbackGiven(BaseModel):
    id: str


class GapOut(BaseModel):
    collection: str
    question: str
    reason: str
    count: int
    first_seen: str
    last_seen: str


class GapsOut(BaseModel):
    gaps: list[GapOut]


class TraceOut(BaseModel):
    id: str
    created: str
    key: str
    route: str
    status: str
    facts: dict[str, Any]
    stages: dict[str, float]


class TracesOut(BaseModel):
    traces: list[TraceOut]


class MeOut(BaseModel):
    """Who the caller is."""

    name: str
    admin: bool
    groups: list[str] | None
    open: bool  # no key is needed here


class HealthOut(BaseModel):
    status: Literal["ok"]
    version: str


class ReadyOut(BaseModel):
    status: Literal["starting", "ready", "degraded", "failed"]
    search: str
    answers: list[str]


class ReportOut(BaseModel):
    """The newest evaluation report under reports/ in the home."""

    name: str
    created: str
    report: dict[str, Any]
