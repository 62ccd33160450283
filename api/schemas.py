"""The bodies of HTTP requests. Ours refuse unknown fields; OpenAI's are taken with whatever they carry."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

Text = Annotated[
    str, StringConstraints(min_length=1, pattern=r"[^\s\x00-\x20]")
]  # something but blanks; its limit: settings
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
_WHOLE = BeforeValidator(lambda v: int(v) if isinstance(v, float) and v.is_integer() else v)  # JSON's 1.0 is 1
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
