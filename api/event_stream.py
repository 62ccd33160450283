"""Server-sent events that notice at once when the reader has gone, and a watch for routes that do not stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

T = TypeVar("T")

HEARTBEAT = 10.0  # seconds of silence after which a comment keeps proxies from closing the connection


def event(data: Any, name: str | None = None) -> str:
    """One event: `data` as JSON, or as it is when it is a string."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {name}\n" if name else "") + f"data: {text}\n\n"


def comment(text: str) -> str:
    """A line that clients skip; for people who look at the stream."""
    return f": {text}\n\n"


class EventStream(Response):
    """Sends what `events` yields; `gone` is called as soon as the client has left, also while nothing is being sent."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[str], gone: Callable[[], None]) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._gone = gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = asyncio.create_task(_disconnected(receive))
        sending = asyncio.create_task(self._send(send))
        try:
            await asyncio.wait({left, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        except OSError:
            pass  # the connection broke in the middle of a write: the reader has left
        finally:
            self._gone()
            for task in (left, sending):
                task.cancel()
            await asyncio.gather(left, sending, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        pending = asyncio.ensure_future(anext(self._events))
        try:
            while True:
                done, _ = await asyncio.wait({pending}, timeout=HEARTBEAT)
                if not done:
                    await _chunk(send, comment("still here"))
                    continue
                try:
                    text = pending.result()
                except StopAsyncIteration:
                    break
                await _chunk(send, text)
                pending = asyncio.ensure_future(anext(self._events))
        finally:
            pending.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _chunk(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode("utf-8", "replace"), "more_body": True})


async def while_connected(request: Request, work: Awaitable[T], gone: Callable[[], None]) -> T | None:
    """The result of `work`, or None when the client left before; then `gone` was called."""
    left = asyncio.create_task(_disconnected(request.receive))
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({left, task}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        gone()
        return None
    finally:
        if not task.done():
            gone()
            task.cancel()
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
