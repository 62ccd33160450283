"""Any error to a status and the one JSON shape: {"error": {"message", "type", "code", "param", "details"}}.

The keys are those of the OpenAI error object, so that its clients raise their typed errors, plus `details` for a machine.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import compile_path

from rag.errors import Busy, RagError

log = logging.getLogger("ragbase.api")

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "method_not_allowed",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    415: "invalid_request_error",
    421: "wrong_host",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
_PHRASES = {
    401: "a key is needed: send 'Authorization: Bearer KEY'; an operator makes one with `rag keys create`",
    404: "no such address; /docs lists them all",
    405: "this address does not take that method; the Allow header names those it takes",
}


def error_body(
    status: int, message: str, type_: str | None = None, param: str | None = None, details: Any = None
) -> dict[str, Any]:
    """The one shape. Every key is always there."""
    kind = type_ or _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "code": kind, "param": param, "details": details}}


def error_response(
    status: int,
    message: str,
    *,
    type_: str | None = None,
    param: str | None = None,
    details: Any = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The one shape as a response."""
    return JSONResponse(error_body(status, message, type_, param, details), status, headers=dict(headers or {}))


def describe(error: BaseException, details: Any = None) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and headers of any error. One that is not ours is a bug: logged with its traceback, not shown."""
    if isinstance(error, RagError):
        headers = {"Retry-After": str(max(1, math.ceil(error.retry_after)))} if isinstance(error, Busy) else {}
        retry = getattr(error, "retry_after", None)
        if retry is not None:
            headers = {"Retry-After": str(max(1, math.ceil(retry)))}
        message = " ".join(str(error).split())
        kind = _TYPES.get(error.status) if error.status < 500 else snake(type(error).__name__)
        if error.status >= 500:
            log.warning("request failed: %s", type(error).__name__, extra={"facts": {"error": message}})
        return error.status, error_body(error.status, message, kind, details=details), headers
    log.error("unexpected error", exc_info=error)
    return 500, error_body(500, "unexpected error in the service; its log has the traceback", "server_error"), {}


def snake(name: str) -> str:
    """GeneratorDown -> generator_down."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def install(app: FastAPI) -> None:
    """Every error of the app in the one shape."""

    async def ours(_: Request, error: Exception) -> Response:
        status, body, headers = describe(error)
        return JSONResponse(body, status, headers=headers)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        if error.status_code == 405 and (methods := _methods(app, request.scope["path"])):
            headers["Allow"] = ", ".join(methods)
        default = _PHRASES.get(error.status_code)
        message = (
            default
            if default and error.detail in ("Not Found", "Method Not Allowed", "Unauthorized")
            else str(error.detail)
        )
        return error_response(error.status_code, message, headers=headers)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = [
            {"at": ".".join(str(part) for part in e["loc"]), "reason": str(e["msg"])[:300]} for e in error.errors()[:20]
        ]
        first = found[0] if found else {"at": "body", "reason": "not valid"}
        status = 400 if any(e["type"] == "json_invalid" for e in error.errors()) else 422
        param = first["at"].removeprefix("body.").encode("utf-8", "replace").decode()
        found = json.loads(json.dumps(found).encode("utf-8", "replace"))
        return error_response(status, f"{param}: {first['reason']}", param=param, details=found)

    app.add_exception_handler(RagError, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, ours)


def _methods(app: FastAPI, path: str) -> list[str]:
    """All methods of an address; the framework names those of its first route only. Empty when it is not in the interface."""
    found: set[str] = set()
    for template, operations in app.openapi()["paths"].items():
        if compile_path(template)[0].match(path):
            found |= {method.upper() for method in operations}
    return sorted(found)
