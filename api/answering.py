"""One question through the queue and the model, as a stream of events that a route can send or collect.

The model runs in a thread of its own executor; its events come back through an asyncio queue. A slot of the queue is freed only
when that thread has ended, so a cancelled answer that is still winding down never shares the model with the next one.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

from api.admission import BreakerOpen, Ticket
from api.observation import Stages, observe
from rag.errors import Busy, GeneratorFailed, ModelMissing, PromptTooLong, RagError
from rag.types import Answer, AnswerDone, AskRequest, SourcesFound, TextDelta
from rag.wire import hit_json, search_json

if TYPE_CHECKING:
    from api.service import Service

log = logging.getLogger("ragbase.answers")

HOLD = 1.0  # seconds a stream waits for its first word before it says 200, so that early failures keep their status


@dataclass(frozen=True, slots=True)
class Waiting:
    """Still in the queue."""

    position: int
    seconds: float  # estimated


@dataclass(frozen=True, slots=True)
class Failed:
    """The end of a stream that has no answer."""

    error: BaseException
    details: Any = None  # what was found all the same: {"search": ...}


AnswerEvent = Waiting | SourcesFound | TextDelta | AnswerDone | Failed


class Run:
    """One answer on its way. Iterate it, or `cancel` it; the last event is AnswerDone or Failed."""

    def __init__(self, service: Service, request: AskRequest, collection: str, key: str, route: str) -> None:
        self._service = service
        self.id = f"ans-{secrets.token_hex(12)}"
        self.request = request
        self.collection = collection
        self.key = key
        self.route = route
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[AnswerEvent] = asyncio.Queue()
        self._held: list[AnswerEvent] = []
        self._cancel = Event()
        self.stages = Stages()
        self.answer: Answer | None = None
        service.breaker.check()
        self._ticket: Ticket = service.admission.enter(key)
        service.runs.add(self)
        self._pump = asyncio.create_task(self._drive())

    def cancel(self) -> None:
        """Stops the model, or gives up the place in the queue. Returns at once."""
        self._cancel.set()
        if self._ticket.started is None:
            self._ticket.leave()

    async def primed(self) -> Failed | None:
        """Waits up to `HOLD` for the first word. A failure within that time is returned, so that it can be a status."""
        until = time.monotonic() + HOLD
        while (left := until - time.monotonic()) > 0:
            try:
                event = await asyncio.wait_for(self._events.get(), left)
            except TimeoutError:
                return None
            if isinstance(event, Failed):
                return event
            self._held.append(event)
            if isinstance(event, TextDelta | AnswerDone):
                return None
        return None

    async def __aiter__(self) -> AsyncIterator[AnswerEvent]:
        while True:
            event = self._held.pop(0) if self._held else await self._events.get()
            yield event
            if isinstance(event, AnswerDone | Failed):
                return

    async def finished(self) -> AnswerDone | Failed:
        """The last event."""
        async for event in self:
            if isinstance(event, AnswerDone | Failed):
                return event
        raise AssertionError("a run ends with AnswerDone or Failed")

    async def _drive(self) -> None:
        """Waits for the turn, runs the thread, and always ends the stream."""
        sources: SourcesFound | None = None
        try:
            if not await self._turn():
                self._put(Failed(Cancelled("the request was cancelled while it waited")))
                return
            self.stages.started = time.monotonic()
            work = self._service.answer_threads.submit(self._work)
            work.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._ticket.leave))
            wrapped = asyncio.wrap_future(work)
            await asyncio.wait({wrapped})
            error = wrapped.exception()
            self.stages.ended = time.monotonic()
            if error is not None:
                sources = wrapped_sources(error)
                self._put(Failed(error, await self._found(error, sources)))
        finally:
            self._service.runs.discard(self)
            observe(self._service, self)

    async def _turn(self) -> bool:
        """True when the slot is ours; tells the position every second until then."""
        while not self._ticket.turn.done():
            try:
                await asyncio.wait_for(asyncio.shield(self._ticket.turn), 1.0)
            except TimeoutError:
                self._put(Waiting(self._ticket.position, self._ticket.seconds))
            except asyncio.CancelledError:
                if not self._ticket.left:
                    self._ticket.leave()
                    raise
        return not self._ticket.turn.cancelled()

    def _work(self) -> None:
        """In a thread: the whole answer. Errors leave through the future."""
        sources: SourcesFound | None = None
        breaker = self._service.breaker
        try:
            answerer = self._service.services.answerer(self.collection)
            for event in answerer.stream(self.request, self._cancel):
                match event:
                    case SourcesFound():
                        self.stages.sources = time.monotonic()
                        sources = event
                    case TextDelta():
                        self.stages.first = self.stages.first or time.monotonic()
                    case AnswerDone(answer):
                        self.stages.ended = time.monotonic()
                        self.answer = answer
                self._loop.call_soon_threadsafe(self._put, event)
        except GeneratorFailed as error:
            if not isinstance(error, PromptTooLong | ModelMissing):
                breaker.failed()
            self._service.metrics.failures.labels(type(error).__name__).inc()
            error.sources = sources  # type: ignore[attr-defined]
            raise
        if self.answer is None:
            raise AssertionError("an answer's stream ends with AnswerDone")
        breaker.succeeded()

    def _put(self, event: AnswerEvent) -> None:
        self._events.put_nowait(event)

    async def _found(self, error: BaseException, sources: SourcesFound | None) -> Any:
        """What search alone found, offered when the model failed."""
        if not isinstance(error, GeneratorFailed) or self._cancel.is_set():
            return None
        if sources is not None:
            return {"search": {"hits": [hit_json(h) for h in sources.hits], "generation": sources.generation}}
        return await offer(self._service, self.request, self.collection)


class Cancelled(RagError):
    """The caller left before the answer began."""

    status = 499


def wrapped_sources(error: BaseException) -> SourcesFound | None:
    """The sources that were found before the model failed."""
    found: SourcesFound | None = getattr(error, "sources", None)
    return found


async def offer(service: Service, request: AskRequest, collection: str) -> Any:
    """The passages for a question whose model is down: {"search": ...}, or None when search fails too."""
    try:
        found = await service.search(lambda: service.services.retriever(collection).search(request.search))
    except RagError as e:
        log.warning("no passages to offer: %s", type(e).__name__)
        return None
    return {"search": search_json(found, request.search.question)}


async def started(service: Service, request: AskRequest, collection: str, key: str, route: str) -> Run | Failed:
    """A run that was admitted, or the failure with which it was turned away."""
    try:
        return Run(service, request, collection, key, route)
    except BreakerOpen as e:
        return Failed(e, await offer(service, request, collection))
    except Busy as e:
        service.metrics.refused.inc()
        return Failed(e)
