"""Uploads become jobs: one thread works on them in order, each keeps its progress in the ledger, and a job that a stop interrupted
is taken up again at the next start."""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from api.metrics import Metrics
from rag.errors import Busy, RagError
from rag.storage.ledger import Job, Ledger
from rag.wire import report_json
from rag.wiring import Services

log = logging.getLogger("ragbase.jobs")

WAITING = 100  # uploads that may wait; further ones get 429
PROGRESS_SECONDS = 0.2  # progress is written at most this often


class Stopped(RagError):
    """A job was cancelled, or the service stops."""


class Jobs:
    """The worker. `upload` may be called from any thread."""

    def __init__(self, services: Services, ledger: Ledger, metrics: Metrics) -> None:
        self._services = services
        self._ledger = ledger
        self._metrics = metrics
        self._incoming = services.settings.home / "incoming"
        self._cancelled: dict[str, threading.Event] = {}
        self._stopping = threading.Event()
        self._thread = ThreadPoolExecutor(1, "jobs")
        # Held while something writes to a collection, so that a deletion waits for the batch instead of failing.
        self.writing = threading.Lock()

    def start(self) -> None:
        """Takes up what was left."""
        for job in self._ledger.unfinished_jobs():
            self._enqueue(job)

    @property
    def waiting(self) -> int:
        """Jobs not finished."""
        return len(self._cancelled)

    def upload(self, name: str, content: Path, owner: str, collection: str, groups: list[str] | None) -> Job:
        """A queued job for a file whose bytes lie in `content`, which is moved. Raises Busy when too many wait."""
        if len(self._cancelled) >= WAITING:
            raise Busy(f"{WAITING} uploads are waiting already; try again in a minute", 60)
        self._incoming.mkdir(parents=True, exist_ok=True)
        kept = self._incoming / secrets.token_hex(12)
        shutil.move(content, kept)
        params = {"file": kept.name, "collection": collection, "groups": groups}
        job = self._ledger.add_job("upload", name, owner, params)
        self._enqueue(job)
        return job

    def cancel(self, id_: str) -> Job:
        """Stops a job: at once while it waits, at the next step while it runs. Raises NotFound."""
        event = self._cancelled.get(id_)
        if event is not None:
            event.set()
        return self._ledger.job(id_)

    def stop(self) -> None:
        """Asks the worker to end; the job it works on is taken up again at the next start."""
        self._stopping.set()

    def join(self) -> None:
        """Waits for the worker."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _enqueue(self, job: Job) -> None:
        self._cancelled[job.id] = threading.Event()
        self._thread.submit(self._run, job).add_done_callback(partial(self._ended, job))

    def _run(self, job: Job) -> Mapping[str, Any]:
        """The report. Errors leave through the future."""
        self._check(job)
        self._ledger.set_job(job.id, state="running", stage="reading")
        return self._upload(job)

    def _ended(self, job: Job, future: Future[Mapping[str, Any]]) -> None:
        """Writes down how a job ended, whatever happened in it."""
        if future.cancelled():
            return  # the service stops; the job is still queued in the ledger
        error = future.exception()
        if isinstance(error, Stopped):
            if self._stopping.is_set():
                self._ledger.set_job(job.id, state="queued", stage="queued")
            else:
                self._end(job, state="cancelled", stage="cancelled")
        elif isinstance(error, RagError):
            self._end(job, state="failed", stage="failed", error=" ".join(str(error).split()))
        elif error is not None:
            log.error("job failed", exc_info=error, extra={"facts": {"job": job.id}})
            self._end(
                job, state="failed", stage="failed", error=f"{type(error).__name__} while reading it; the log has more"
            )
        else:
            report = future.result()
            taken = report["added"] + report["updated"] + report["unchanged"]
            reasons = [f["reason"] for f in (*report["failed"], *report["skipped"])]
            if taken or not reasons:
                self._end(job, state="done", stage="done", report=report)
            else:
                self._end(job, state="failed", stage="failed", report=report, error=reasons[0])

    def _check(self, job: Job) -> None:
        if self._cancelled[job.id].is_set() or self._stopping.is_set():
            raise Stopped("cancelled")

    def _upload(self, job: Job) -> Mapping[str, Any]:
        from ingest.uploads import ingest_upload

        params = job.params
        data = (self._incoming / params["file"]).read_bytes()
        groups = None if params["groups"] is None else frozenset(params["groups"])
        services = self._services.for_collection(params["collection"])
        with self.writing:
            report = ingest_upload(job.name, data, services, groups, progress=self._progress(job))
        return report_json(report)

    def _progress(self, job: Job) -> Callable[..., None]:
        last = 0.0

        def progress(stage: str, done: int = 0, total: int = 0, *_: Any) -> None:
            nonlocal last
            self._check(job)
            now = time.monotonic()
            if now - last >= PROGRESS_SECONDS:
                last = now
                self._ledger.set_job(job.id, stage=str(stage)[:80], done=int(done), total=int(total))

        return progress

    def _end(self, job: Job, state: str, **changes: Any) -> None:
        self._ledger.set_job(job.id, state=state, **changes)
        self._metrics.jobs.labels(job.kind, state).inc()
        self._cancelled.pop(job.id, None)
        (self._incoming / str(job.params["file"])).unlink(missing_ok=True)
        log.info("job", extra={"facts": {"job": job.id, "kind": job.kind, "state": state}})
