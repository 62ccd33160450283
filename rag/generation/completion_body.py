"""What an OpenAI-compatible model is asked: the body of a streamed chat completion, the same for a server and for the model in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rag.generation.chances import LIKELIEST
from rag.types import Message


def completion_body(
    messages: Sequence[Message],
    *,
    max_tokens: int,
    temperature: float,
    seed: int,
    stop: Sequence[str],
    schema: Mapping[str, Any] | None,
    chances: bool,
) -> dict[str, Any]:
    """The body without the model's name. `chances` asks for the likeliest first tokens, `schema` for JSON of that shape."""
    body: dict[str, Any] = {
        "messages": plain(messages),
        "max_tokens": max_tokens,
        "temperature": temperature,
        "seed": seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if stop:
        body["stop"] = list(stop)
    if chances:
        body |= {"logprobs": True, "top_logprobs": LIKELIEST}
    if schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}
    return body


def plain(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Messages as JSON has them."""
    return [{"role": m.role, "content": m.content} for m in messages]
