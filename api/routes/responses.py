"""The error statuses that routes declare in the OpenAPI document. All have the one shape."""

from __future__ import annotations

from typing import Any

from api.response_schemas import Error

_MEANING = {
    400: "The request cannot be read or makes no sense.",
    401: "The key is missing, unknown or revoked.",
    403: "The key may not do this, or the request comes from another site's page.",
    404: "No such thing, or it is not for this key to see.",
    408: "The body came too slowly.",
    409: "Another write is going on, or the collection does not fit the installed models.",
    413: "The body is too large.",
    421: "The Host header is not one of ours.",
    422: "The body does not have the shape asked for.",
    429: "Too much at once; Retry-After says when to come again.",
    499: "The client left before the answer was there.",
    500: "A bug, or a damaged collection; never an answer from damaged data.",
    502: "The language model failed.",
    503: "The language model, or weights, cannot be had now.",
    504: "The language model took too long.",
    507: "The disk refused a write.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=`: these and the ones that any route may give."""
    always = (400, 401, 403, 408, 409, 413, 421, 422, 429, 500)
    return {s: {"model": Error, "description": _MEANING[s]} for s in sorted({*always, *statuses})}


_EVENT = {"type": "object", "properties": {"event": {"type": "string"}, "data": {"type": "string"}}}
STREAM: dict[str, Any] = {"text/event-stream": {"schema": _EVENT}}
