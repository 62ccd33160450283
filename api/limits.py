"""What is refused before a route sees it: foreign hosts and origins, bodies that are too large or too slow. And the headers
that every response carries."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.error_responses import error_response

JSON_BODY = 1_000_000  # bytes of any body that is not an upload
UPLOADS = {"/documents"}
BODY_SECONDS = 30.0  # for the next piece of a body
DRAIN_SECONDS = 2.0  # for which a refused body is still read
DRAIN_BYTES = 200_000_000

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; font-src 'self'; connect-src 'self'; "
    "frame-src 'self' blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class SecurityHeaders:
    """Adds `HEADERS`; answers that hold documents are never kept by a cache."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)


class TrustedHosts:
    """Refuses a Host that is not ours (a rebound DNS name in somebody's browser) and requests that other sites' pages send."""

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self._app = app
        self._allowed = {host.strip().strip("[]").lower() for host in allowed if host.strip()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host = headers.get("host", "")
            if not self._trusts(hostname(host)):
                refusal = error_response(
                    421,
                    "this service does not answer to that Host; the setting allowed_hosts lists those it answers to",
                )
                await refusal(scope, receive, send)
                return
            if _foreign(headers, host, scope["method"]):
                refusal = error_response(403, "requests from other sites' pages are not answered")
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _trusts(self, host: str) -> bool:
        return "*" in self._allowed or host in self._allowed


def _foreign(headers: Headers, host: str, method: str) -> bool:
    """Whether a browser sends this for another site's page. Following a link to here is no harm, anything else is."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return True
    link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    return headers.get("sec-fetch-site") == "cross-site" and not link


def hostname(netloc: str) -> str:
    """The lower-case name of `name:port` or `[v6]:port`, without the port."""
    name = netloc.rpartition("@")[2]
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    return name.lower()


class BodyLimit:
    """Reads no more of a body than is allowed: 413 at once when it announces more, else at the byte that is too many.

    The whole body of a JSON request (at most a megabyte) is taken in here, so that a slow sender (408) never holds a route.
    """

    def __init__(self, app: ASGIApp, upload_bytes: int) -> None:
        self._app = app
        self._upload = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        upload = scope["path"] in UPLOADS and scope["method"] == "POST"
        limit = self._upload if upload else JSON_BODY
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdigit() and int(declared) > limit:
            await _refuse_body(413, _too_large(limit), scope, receive, send)
            return
        if upload:
            await self._streamed(scope, receive, send, limit)
        else:
            await self._buffered(scope, receive, send, limit)

    async def _buffered(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            try:
                message = await asyncio.wait_for(receive(), BODY_SECONDS)
            except TimeoutError:
                refusal = error_response(408, f"no more of the body came within {BODY_SECONDS:.0f} s")
                await refusal(scope, receive, send)
                return
            if message["type"] != "http.request":
                return  # the client left before it had said what it wants
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
            if size > limit:
                await _refuse_body(413, _too_large(limit), scope, receive, send)
                return
        body: Message | None = {"type": "http.request", "body": b"".join(parts), "more_body": False}

        async def replay() -> Message:
            nonlocal body
            if body is not None:
                first, body = body, None
                return first
            return await receive()

        await self._app(scope, replay, send)

    async def _streamed(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        size = 0
        complete = False
        started = False

        async def counted() -> Message:
            nonlocal size, complete
            if complete:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), BODY_SECONDS)
            except TimeoutError:
                raise _Refused(408) from None
            size += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if size > limit:
                raise _Refused(413)
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            # The framework takes a failed read for a bad body (400); what was meant is said here.
            if size > limit and message["type"] == "http.response.start":
                raise _Refused(413)
            await send(message)

        try:
            await self._app(scope, counted, watched)
        except _Refused as refused:
            message = _too_large(limit) if refused.status == 413 else "the upload stalled"
            await _refuse_body(refused.status, message, scope, receive, send)


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


async def _refuse_body(status: int, message: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Says no at once, then throws away for a moment what still comes: a client that is busy sending reads the answer only
    afterwards, and would see a broken connection instead of the reason."""
    answer = error_response(status, message, headers={"Connection": "close"})
    await send({"type": "http.response.start", "status": status, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    if "expect" not in Headers(scope=scope):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_drain(receive), DRAIN_SECONDS)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drain(receive: Receive) -> None:
    left = DRAIN_BYTES
    while left > 0:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
        left -= len(message.get("body", b""))


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit / 1e6:.0f} MB; the setting max_body raises the limit of uploads"
