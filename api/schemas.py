"""The bodies of HTTP requests and responses. Requests of ours refuse unknown fields; OpenAI's are taken with whatever they carry.

The responses are made by `rag.wire`; the models here describe them in the OpenAPI document (and a fuzz test holds both together).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

Text = Annotated[
    str, StringConstraints(min_length=1, pattern=r"[^\s\x00-\x20]")
]  # something but blanks; its limit: settings
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
_WHOLE = BeforeValidator(lambda v: int(v) if isinstance(v, float) and v.is_integer() else v)  # JSON's 1.0 is 1
Span = Annotated[list[int], Field(min_length=2, max_length=2)]  # [start, end)
Group = Annotated[str, StringConstraints(pattern=r"^[^\s,][^,]{0,63}$")]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


class Turn(_Request):
    """One turn before the question."""

    role: Literal["user", "assistant"]
    content: Annotated[str, Field(max_length=20_000)]


class SearchBody(_Request):
    """A search."""

    question: Text
    k: Annotated[int, Field(ge=1, le=200, description="Hits wanted."), _WHOLE] = 10
    mode: Literal["hybrid", "dense", "keyword"] = "hybrid"
    rerank: bool = True
    groups: Annotated[list[Group] | None, Field(max_length=50, description="Only narrows what the key may see.")] = None
    as_of: Annotated[int | None, Field(ge=0, le=2**53, description="Search this generation."), _WHOLE] = None
    filter: Annotated[
        str,
        Field(
            max_length=500,
            description='"path=policies/* date>=2025-01-01 lang=zh type=pdf"',
            json_schema_extra={"format": "filter"},
        ),
    ] = ""
    explain: bool = False
    why_not: Annotated[str | None, Field(max_length=500, description="Document: id, path or name.")] = None
    collection: Name | None = None


class AskBody(SearchBody):
    """A question to be answered."""

    history: Annotated[list[Turn], Field(max_length=50)] = []
    max_tokens: Annotated[int | None, Field(ge=1, le=2048), _WHOLE] = None
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    seed: Annotated[int, Field(ge=0, le=2**31 - 1), _WHOLE] = 0
    answer_schema: Annotated[
        dict[str, Any] | None, Field(alias="schema", description="JSON schema that the answer must follow.")
    ] = None
    stream: Annotated[bool, Field(description="Server-sent events: queue, sources, delta, then done or error.")] = False


class _Theirs(BaseModel):
    model_config = ConfigDict(strict=True)


class TextPart(_Theirs):
    """A part of a message's content."""

    type: Literal["text"]
    text: str


class QuestionPart(_Theirs):
    """A part of a question; none is empty."""

    type: Literal["text"]
    text: Text


class OtherMessage(_Theirs):
    """What a client says beside the question: instructions, earlier answers, tool results."""

    role: Literal["system", "developer", "assistant", "tool"]
    content: str | list[TextPart] | None = None


class UserMessage(_Theirs):
    """A question."""

    role: Literal["user"]
    content: Text | Annotated[list[QuestionPart], Field(min_length=1)]


class JsonSchemaFormat(_Theirs):
    """The schema of a structured answer."""

    name: str = "answer"
    schema_: Annotated[dict[str, Any], Field(alias="schema")] = {}


class ResponseFormat(_Theirs):
    """Free text, or JSON by a schema."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchemaFormat | None = None


class StreamOptions(_Theirs):
    """OpenAI's."""

    include_usage: bool | None = None


class ChatBody(_Theirs):
    """OpenAI's chat completion request. Fields that are not listed are ignored."""

    messages: Annotated[
        list[Annotated[UserMessage | OtherMessage, Field(discriminator="role")]],
        Field(
            min_length=1,
            max_length=200,
            description="The last user message is the question, the ones before are its history.",
            json_schema_extra={
                "contains": {"type": "object", "properties": {"role": {"const": "user"}}, "required": ["role"]}
            },
        ),
    ]
    model: Annotated[str | None, Field(max_length=200, description="Any name: the service has one model.")] = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int | None, Field(ge=1), _WHOLE] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1), _WHOLE] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    seed: Annotated[int | None, _WHOLE] = None
    n: Annotated[int | None, Field(ge=1, le=1), _WHOLE] = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Any] | None, Field(max_length=0, description="Tools are not supported.")] = None
    collection: Annotated[Name | None, Field(description="Ours: the collection to answer from.")] = None


class FeedbackBody(_Request):
    """What a reader thought of an answer."""

    rating: Literal["up", "down"]
    answer_id: Annotated[str, Field(max_length=100)] = ""
    comment: Annotated[str, Field(max_length=4_000)] = ""
    question: Annotated[str, Field(max_length=20_000)] = ""
    answer: Annotated[str, Field(max_length=40_000)] = ""
    collection: Name | None = None


class CollectionBody(_Request):
    """A collection to be made."""

    name: Name


# --- responses


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
