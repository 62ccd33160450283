"""Traces to an OpenTelemetry collector, only when the setting otlp_endpoint names one."""

from __future__ import annotations

from typing import Any

from rag.errors import UsageError
from rag.settings import Settings
from rag.storage.ledger import Trace


class Exporter:
    """Sends nothing."""

    @classmethod
    def of(cls, settings: Settings) -> Exporter:
        """The exporter that the settings ask for. Raises UsageError when its library is not installed."""
        return OtlpExporter(settings.otlp_endpoint) if settings.otlp_endpoint else Exporter()

    def export(self, trace: Trace, ended_ns: int) -> None:
        """Takes one trace that ended at `ended_ns` (nanoseconds since 1970)."""

    def close(self) -> None:
        """Sends what is left."""


class OtlpExporter(Exporter):
    """One span an answer, with a child span a stage. No question, no document text."""

    def __init__(self, endpoint: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as e:
            raise UsageError(
                "otlp_endpoint is set but OpenTelemetry is not installed: pip install 'ragbase[telemetry]', or unset it"
            ) from e
        address = endpoint if endpoint.rstrip("/").endswith("/v1/traces") else endpoint.rstrip("/") + "/v1/traces"
        self._provider = TracerProvider(resource=Resource.create({"service.name": "ragbase"}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address, timeout=5)))
        self._tracer = self._provider.get_tracer("ragbase")

    def export(self, trace: Trace, ended_ns: int) -> None:
        from opentelemetry.trace import set_span_in_context

        total = trace.stages.get("total", sum(trace.stages.values()))
        start = ended_ns - int(total * 1e9)
        facts: dict[str, Any] = {f"rag.{k}": v for k, v in trace.facts.items()}
        span = self._tracer.start_span(
            trace.route, start_time=start, attributes={"rag.id": trace.id, "rag.status": trace.status, **facts}
        )
        at = start
        for stage, seconds in trace.stages.items():
            if stage == "total":
                continue
            child = self._tracer.start_span(stage, context=set_span_in_context(span), start_time=at)
            at += int(seconds * 1e9)
            child.end(end_time=at)
        span.end(end_time=ended_ns)

    def close(self) -> None:
        self._provider.shutdown()
