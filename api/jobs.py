"""Uploads become jobs: one thread works on them in order, each keeps its progress in the ledger, and a job that a stop interrupted
is taken up again at the next start."""

from __future__ import annotations

import logging
import queue
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping
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
        self._todo: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._cancelled: dict[str, threading.Event] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        # Held while something writes to a collection, so that a deletion waits for the batch instead of failing.
        self.writing = threading.Lock()

    def start(self) -> None:
        """Takes up what was left, then waits for more."""
        for job in self._ledger.unfinished_jobs():
            self._enqueue(job)
        self._thread.start()

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
        job = self._ledger.job(id_)
        event = self._cancelled.get(id_)
        if event is not None:
            event.set()
            if job.state == "queued":
                self._ledger.set_job(id_, state="cancelled", stage="cancelled")
        return self._ledger.job(id_)

    def stop(self) -> None:
        """Asks the worker to end; the job it works on is taken up again at the next start."""
        self._stopping.set()
        self._todo.put(None)

    def join(self) -> None:
        """Waits for the worker."""
        if self._thread.is_alive():
            self._thread.join(60)

    def _enqueue(self, job: Job) -> None:
        self._cancelled[job.id] = threading.Event()
        self._todo.put(job)

    def _work(self) -> None:
        while (job := self._todo.get()) is not None and not self._stopping.is_set():
            try:
                self._run(job)
            finally:
                self._cancelled.pop(job.id, None)

    def _run(self, job: Job) -> None:
        cancelled = self._cancelled[job.id]
        if cancelled.is_set():
            self._discard(job)
            return
        self._ledger.set_job(job.id, state="running", stage="reading")
        try:
            report = self._upload(job, cancelled)
        except Stopped:
            if self._stopping.is_set():
                self._ledger.set_job(job.id, state="queued", stage="queued")
                return
            self._end(job, state="cancelled", stage="cancelled")
        except RagError as e:
            self._end(job, state="failed", stage="failed", error=" ".join(str(e).split()))
        except (OSError, ValueError, RuntimeError, MemoryError) as e:
            log.error("job failed", exc_info=e, extra={"facts": {"job": job.id}})
            self._end(
                job, state="failed", stage="failed", error=f"{type(e).__name__} while reading it; the log has more"
            )
        else:
            failed = report["failed"] + [s for s in report["skipped"] if not report["added"] + report["updated"]]
            if failed and not report["added"] and not report["updated"] and not report["unchanged"]:
                self._end(job, state="failed", stage="failed", report=report, error=failed[0]["reason"])
            else:
                self._end(job, state="done", stage="done", report=report)

    def _upload(self, job: Job, cancelled: threading.Event) -> Mapping[str, Any]:
        from ingest.uploads import ingest_upload

        params = job.params
        data = (self._incoming / params["file"]).read_bytes()
        groups = None if params["groups"] is None else frozenset(params["groups"])
        services = self._services.for_collection(params["collection"])
        with self.writing:
            report = ingest_upload(job.name, data, services, groups, progress=self._progress(job, cancelled))
        return report_json(report)

    def _progress(self, job: Job, cancelled: threading.Event) -> Callable[..., None]:
        last = 0.0

        def progress(stage: str, done: int = 0, total: int = 0, *_: Any) -> None:
            nonlocal last
            if cancelled.is_set() or self._stopping.is_set():
                raise Stopped("cancelled")
            now = time.monotonic()
            if now - last >= PROGRESS_SECONDS:
                last = now
                self._ledger.set_job(job.id, stage=str(stage)[:80], done=int(done), total=int(total))

        return progress

    def _end(self, job: Job, state: str, **changes: Any) -> None:
        self._ledger.set_job(job.id, state=state, **changes)
        self._metrics.jobs.labels(job.kind, state).inc()
        self._discard(job)
        log.info("job", extra={"facts": {"job": job.id, "kind": job.kind, "state": state}})

    def _discard(self, job: Job) -> None:
        (self._incoming / str(job.params["file"])).unlink(missing_ok=True)
