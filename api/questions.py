"""Request bodies to the requests of `rag`, with the caller's groups put in and the settings' limits applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.auth import Caller
from api.schemas import AskBody, ChatBody, OtherMessage, QuestionPart, SearchBody, TextPart, UserMessage
from rag.errors import RagError
from rag.settings import Settings
from rag.types import AskRequest, Message, SearchRequest

MAX_ANSWER = 2048  # tokens
MAX_HISTORY = 200_000  # characters of all turns before the question


class InvalidRequest(RagError):
    """A request whose shape is right and whose content is not."""

    status = 422


def search_request(body: SearchBody, caller: Caller, settings: Settings) -> SearchRequest:
    """Raises InvalidRequest for a question that is too long."""
    return SearchRequest(
        question=_question(body.question, settings),
        k=body.k,
        mode=body.mode,
        rerank=body.rerank,
        groups=caller.narrowed(body.groups),
        as_of=body.as_of,
        filter=body.filter,
        explain=body.explain,
        why_not=body.why_not or None,
        history=tuple(Message(t.role, t.content) for t in body.history) if isinstance(body, AskBody) else (),
    )


def ask_request(body: AskBody, caller: Caller, settings: Settings) -> AskRequest:
    """The question of POST /ask."""
    return AskRequest(
        search_request(body, caller, settings),
        max_tokens=body.max_tokens,
        temperature=body.temperature,
        seed=body.seed,
        schema=body.answer_schema,
    )


def chat_request(body: ChatBody, caller: Caller, settings: Settings) -> AskRequest:
    """The last user message is the question; what stands before it is the history. Raises InvalidRequest."""
    last = max((i for i, m in enumerate(body.messages) if isinstance(m, UserMessage)), default=None)
    if last is None:
        raise InvalidRequest("messages: one of them must have the role user; it is the question")
    history = tuple(
        Message(_role(m), text) for m in body.messages[:last] if m.role != "tool" and (text := _text(m.content)).strip()
    )
    if sum(len(m.content) for m in history) > MAX_HISTORY:
        raise InvalidRequest(f"messages: more than {MAX_HISTORY} characters before the question; leave out old turns")
    question = _question(_text(body.messages[last].content), settings)
    wanted = body.max_completion_tokens or body.max_tokens
    return AskRequest(
        SearchRequest(question, k=min(settings.k, 1000), groups=caller.groups, history=history),
        max_tokens=None if wanted is None else min(wanted, MAX_ANSWER),
        temperature=body.temperature or 0.0,
        seed=(body.seed or 0) % 2**31,
        schema=_schema(body),
    )


def _question(text: str, settings: Settings) -> str:
    if not text.strip():
        raise InvalidRequest("question: it is empty")
    if len(text) > settings.max_question:
        raise InvalidRequest(
            f"question: {len(text)} characters, at most {settings.max_question} are taken (setting max_question)"
        )
    return text.strip()


def _text(content: str | Sequence[TextPart | QuestionPart] | None) -> str:
    if content is None:
        return ""
    return content if isinstance(content, str) else "\n".join(part.text for part in content)


def _role(message: UserMessage | OtherMessage) -> Any:
    return "system" if message.role == "developer" else message.role


def _schema(body: ChatBody) -> dict[str, Any] | None:
    wanted = body.response_format
    if wanted is None or wanted.type == "text":
        return None
    return dict(wanted.json_schema.schema_) if wanted.json_schema else {"type": "object"}
