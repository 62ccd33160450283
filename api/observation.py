"""What is remembered of an answer once it has ended: times and counts, its trace, and the question if nothing answered it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rag.storage.ledger import Trace

if TYPE_CHECKING:
    from api.answering import Run
    from api.service import Service

log = logging.getLogger("ragbase.answers")


@dataclass
class Stages:
    """When things happened, on the monotonic clock; None = not reached."""

    asked: float = field(default_factory=time.monotonic)
    started: float | None = None
    sources: float | None = None
    first: float | None = None
    ended: float | None = None

    def seconds(self) -> dict[str, float]:
        """Stage -> seconds it took; stages not reached are left out."""
        marks = [
            ("queue", self.started),
            ("retrieve", self.sources),
            ("first_token", self.first),
            ("generate", self.ended),
        ]
        found: dict[str, float] = {}
        last = self.asked
        for name, mark in marks:
            if mark is not None:
                found[name] = round(mark - last, 4)
                last = mark
        if self.ended is not None:
            found["total"] = round(self.ended - self.asked, 4)
        return found


def observe(service: Service, run: Run) -> None:
    """Counts the run, keeps its trace, and adds an abstention to the content gaps. Text is kept of the latter alone."""
    seconds, answer, metrics = run.stages.seconds(), run.answer, service.metrics
    for stage, value in seconds.items():
        metrics.stages.labels(stage).observe(value)
    status = "failed"
    facts: dict[str, Any] = {"collection": run.collection}
    if answer is not None:
        status = "cancelled" if answer.finish_reason == "cancelled" else answer.status
        for sentence in answer.sentences:
            metrics.sentences.labels(sentence.verdict).inc()
        timings = answer.timings
        metrics.tokens.labels("prompt").inc(timings.prompt_tokens)
        metrics.tokens.labels("cached").inc(timings.cached_tokens)
        metrics.tokens.labels("answer").inc(timings.answer_tokens)
        facts |= {
            "model": answer.model,
            "generation": answer.generation,
            "prompt_tokens": timings.prompt_tokens,
            "cached_tokens": timings.cached_tokens,
            "answer_tokens": timings.answer_tokens,
            "citations": len(answer.citations),
            "hits": len(answer.hits),
        }
    metrics.answers.labels(status).inc()
    shown = facts | {"route": run.route, "status": status, "key": run.key, "seconds": seconds}
    question = run.request.search.question
    log.info("answer", extra={"facts": shown | ({"question": question} if service.settings.log_text else {})})
    trace = Trace(
        run.id, datetime.now(UTC).isoformat(timespec="milliseconds"), run.key, run.route, status, facts, seconds
    )

    def write() -> None:
        service.ledger.add_trace(trace)
        if status == "abstained":
            service.ledger.add_gap(run.collection, question, "abstained")
        service.exporter.export(trace, time.time_ns())

    service.book_later(write)
