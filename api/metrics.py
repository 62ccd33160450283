"""What Prometheus reads at /metrics: counts and times, no text, no names of documents or keys."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The numbers of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.requests = Counter(
            "rag_requests", "Requests by route, method and status.", ["route", "method", "status"], registry=r
        )
        self.latency = Histogram(
            "rag_request_seconds", "Seconds to the end of the response.", ["route"], registry=r, buckets=_SECONDS
        )
        self.stages = Histogram(
            "rag_stage_seconds", "Seconds per stage of an answer.", ["stage"], registry=r, buckets=_SECONDS
        )
        self.answers = Counter("rag_answers", "Answers by status.", ["status"], registry=r)
        self.sentences = Counter("rag_sentences", "Sentences of answers by verdict.", ["verdict"], registry=r)
        self.tokens = Counter("rag_tokens", "Tokens read and written by the model.", ["kind"], registry=r)
        self.refused = Counter("rag_refused", "Questions refused because the queue was full.", registry=r)
        self.failures = Counter("rag_generator_failures", "Failures of the language model.", ["type"], registry=r)
        self.running = Gauge("rag_answers_running", "Questions that the model answers now.", registry=r)
        self.waiting = Gauge("rag_answers_waiting", "Questions in the queue.", registry=r)
        self.breaker = Gauge("rag_breaker_open", "1 while the model is not asked.", registry=r)
        self.jobs = Counter("rag_jobs", "Jobs by kind and end.", ["kind", "state"], registry=r)
        self.feedback = Counter("rag_feedback", "Judgements of readers.", ["rating"], registry=r)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
