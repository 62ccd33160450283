"""Who calls, and what they may see: keys, scopes and groups. Deny by default.

A home without any key, served on loopback only, is open: whoever can reach the port is its operator. From the first key on,
every address but the few in `OPEN` needs one, also when all keys are revoked again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.error_responses import error_response
from rag.errors import Busy, PermissionDenied
from rag.storage.ledger import Key, Ledger

log = logging.getLogger("ragbase.auth")

OPEN = {"/", "/healthz", "/readyz", "/docs", "/favicon.ico"}
OPEN_FOLDERS = ("/static/",)


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller of one request. `groups` is None for who may see everything."""

    key: str
    name: str
    groups: frozenset[str] | None
    admin: bool

    def narrowed(self, wanted: Iterable[str] | None) -> frozenset[str] | None:
        """The groups of a request: at most the caller's own, whatever it asks for."""
        if wanted is None:
            return self.groups
        asked = frozenset(wanted)
        return asked if self.groups is None else asked & self.groups


OPERATOR = Caller("open", "operator", None, True)
NOBODY = Caller("none", "nobody", frozenset(), False)


def caller_of(key: Key) -> Caller:
    """An admin sees everything; anyone else the public documents and those of its groups."""
    return Caller(key.id, key.name, None if key.admin else key.groups | {"public"}, key.admin)


def caller(request: Request) -> Caller:
    """For routes: who calls."""
    found: Caller = request.scope["caller"]
    return found


class AdminRoute(APIRoute):
    """A route for admins. Refuses before the body is read, so that nothing is learnt from how it is judged."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            if not caller(request).admin:
                raise PermissionDenied("this needs an admin key; an operator makes one with `rag keys create --admin`")
            response: Response = await handle(request)
            return response

        return guarded


class RateLimit:
    """A token bucket per key: `per_minute` requests a minute, and as many at once. 0 = no limit."""

    def __init__(self, per_minute: int) -> None:
        self._rate = per_minute / 60
        self._size = float(per_minute)
        self._buckets: dict[str, tuple[float, float]] = {}  # key -> (tokens, when)

    def take(self, key: str, now: float | None = None) -> None:
        """Raises Busy with the seconds until the next request may come."""
        if not self._rate:
            return
        now = time.monotonic() if now is None else now
        tokens, then = self._buckets.get(key, (self._size, now))
        tokens = min(self._size, tokens + (now - then) * self._rate)
        if tokens < 1:
            self._buckets[key] = (tokens, now)
            wait = (1 - tokens) / self._rate
            raise Busy(f"this key may make {self._size:.0f} requests a minute; try again in {wait:.0f} s", wait)
        self._buckets[key] = (tokens - 1, now)


class Authentication:
    """ASGI middleware: puts a Caller into the scope, or answers 401 before anything of the request is read."""

    def __init__(self, app: ASGIApp, ledger: Ledger, open_allowed: bool, rate_limit: int) -> None:
        self._app = app
        self._ledger = ledger
        self._open_allowed = open_allowed
        self._limit = RateLimit(rate_limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path in OPEN or path.startswith(OPEN_FOLDERS):
            scope["caller"] = NOBODY
            await self._app(scope, receive, send)
            return
        found = self._identify(scope)
        if found is None:
            answer = error_response(
                401,
                "the key is missing, unknown or revoked: send 'Authorization: Bearer KEY'; "
                "an operator makes one with `rag keys create`",
                headers={"WWW-Authenticate": 'Bearer realm="ragbase"'},
            )
            await answer(scope, receive, send)
            return
        scope["caller"] = found
        try:
            self._limit.take(found.key)
        except Busy as e:
            answer = error_response(429, str(e), headers={"Retry-After": str(max(1, round(e.retry_after)))})
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _identify(self, scope: Scope) -> Caller | None:
        header = next((value for name, value in scope["headers"] if name == b"authorization"), b"").decode("latin-1")
        scheme, _, secret = header.partition(" ")
        if scheme.lower() == "bearer" and secret.strip():
            key = self._ledger.find_key(secret.strip())
            if key is not None:
                return caller_of(key)
        if self._open_allowed and not self._ledger.guarded():
            return OPERATOR
        return None
