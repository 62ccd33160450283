"""The state of one running service: what the routes work with. Made once, handed to the routes; there are no module globals."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import Request

from api.admission import Admission, Breaker
from api.jobs import Jobs
from api.metrics import Metrics
from api.readiness import Readiness
from api.telemetry import Exporter
from rag.errors import Busy
from rag.settings import Settings
from rag.storage.ledger import Ledger
from rag.wiring import Services

if TYPE_CHECKING:
    from api.answering import Run

log = logging.getLogger("ragbase.service")
T = TypeVar("T")

SEARCH_THREADS = 2
SEARCH_QUEUE = 64  # searches and reads that may wait for a thread


class Service:
    """Everything that lives as long as the service. `close` ends threads, jobs and models."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.settings: Settings = services.settings
        self.ledger = Ledger(self.settings.home)
        self.metrics = Metrics()
        self.admission = Admission(self.settings.concurrency, self.settings.queue)
        self.breaker = Breaker()
        self.runs: set[Run] = set()
        self.stopping = threading.Event()
        self.exporter = Exporter.of(self.settings)
        # Own executors: a slow model or a flood of searches takes no thread from anything else.
        self.answer_threads = ThreadPoolExecutor(self.settings.concurrency + 2, "answer")
        self._search_threads = ThreadPoolExecutor(SEARCH_THREADS, "search")
        self._check_threads = ThreadPoolExecutor(1, "check")
        self._book_threads = ThreadPoolExecutor(1, "ledger")
        self._searches = 0
        self.jobs = Jobs(services, self.ledger, self.metrics)
        self.readiness = Readiness(services)

    def start(self) -> None:
        """Begins to load models and to work on jobs left over."""
        self.readiness.start()
        self.jobs.start()

    async def search(self, work: Callable[[], T]) -> T:
        """Runs `work` in a search thread. Raises Busy when too many wait."""
        if self._searches >= SEARCH_QUEUE + SEARCH_THREADS:
            self.metrics.refused.inc()
            raise Busy("too many searches at the same time; try again in a second", 1.0)
        self._searches += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._search_threads, work)
        finally:
            self._searches -= 1

    async def check(self, work: Callable[[], T]) -> T:
        """Runs a health check in a thread of its own, so that a slow model server holds up nothing else."""
        return await asyncio.get_running_loop().run_in_executor(self._check_threads, work)

    async def book(self, work: Callable[[], T]) -> T:
        """Runs a write to the ledger in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._book_threads, work)

    def book_later(self, work: Callable[[], None]) -> None:
        """The same without waiting for it; a failure is logged."""
        if not self.stopping.is_set():
            self._book_threads.submit(work).add_done_callback(_log_failure)

    def gauges(self) -> None:
        """Brings the gauges up to date before they are read."""
        self.metrics.running.set(self.admission.running)
        self.metrics.waiting.set(self.admission.waiting)
        self.metrics.breaker.set(1 if self.breaker.open else 0)

    def begin_stop(self) -> None:
        """New event streams end, jobs are asked to stop; answers may finish."""
        self.stopping.set()
        self.jobs.stop()

    def cancel_answers(self) -> None:
        """Stops every model run."""
        for run in list(self.runs):
            run.cancel()

    async def close(self) -> None:
        """Ends everything; returns when the threads have ended."""
        self.begin_stop()
        self.cancel_answers()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._close)

    def _close(self) -> None:
        self.readiness.stop()
        self.jobs.join()
        for pool in (self.answer_threads, self._search_threads, self._check_threads, self._book_threads):
            pool.shutdown(wait=True, cancel_futures=True)
        self.exporter.close()
        self.ledger.close()
        self.services.close()


def _log_failure(future: Future[None]) -> None:
    error = future.exception()
    if error is not None:
        log.error("the ledger could not be written", exc_info=error)


def service_of(request: Request) -> Service:
    """For routes: the service they belong to."""
    found: Service = request.app.state.service
    return found
