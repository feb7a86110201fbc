"""The door of OpenTelemetry: spans and the conventions' metrics of generative AI, sent by OTLP over HTTP."""

import os
from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from agenthost.core.traces import sampled
from agenthost.telemetry.settings import TelemetrySettings
from agenthost.telemetry.spans import SCHEMA, SpanData

_DELAY = 1000
"""Milliseconds that a span waits for others at most: as much is lost where the process is killed."""
_QUEUE = 20_000
_TIMEOUT = 5
_DURATIONS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Bounds that the conventions name, in seconds."""
_TOKENS = tuple(4**power for power in range(14))
_LABELS = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model")


class Otlp:
    """Sends spans in batches from a thread of its own, and metrics every `interval` seconds."""

    def __init__(self, settings: TelemetrySettings, version: str, instance: str) -> None:
        self._sample = settings.sample
        self._resource = Resource.create(
            {
                "service.name": settings.service or os.environ.get("OTEL_SERVICE_NAME") or "agenthost",
                "service.version": version,
                "service.instance.id": instance,
            }
        )
        self._scope = InstrumentationScope("agenthost", version, SCHEMA)
        base = settings.endpoint.rstrip("/")
        headers = settings.headers or None
        spans = OTLPSpanExporter(f"{base}/v1/traces" if base else None, headers=headers, timeout=_TIMEOUT)
        self._spans = BatchSpanProcessor(spans, max_queue_size=_QUEUE, schedule_delay_millis=_DELAY)
        metrics = OTLPMetricExporter(f"{base}/v1/metrics" if base else None, headers=headers, timeout=_TIMEOUT)
        self._metrics = MeterProvider(
            [PeriodicExportingMetricReader(metrics, export_interval_millis=settings.interval * 1000)],
            self._resource,
            shutdown_on_exit=False,
            views=[
                View(instrument_name=name, aggregation=ExplicitBucketHistogramAggregation(bounds))
                for name, bounds in (
                    ("gen_ai.client.operation.duration", _DURATIONS),
                    ("gen_ai.client.token.usage", _TOKENS),
                )
            ],
        )
        meter = self._metrics.get_meter("agenthost", version, SCHEMA)
        self._durations = meter.create_histogram("gen_ai.client.operation.duration", "s", "GenAI operation duration.")
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Number of input and output tokens used."
        )

    def span(self, span: SpanData) -> None:
        """Send a span, where its trace is among those that are."""
        if span.attributes.get("gen_ai.operation.name") == "chat":
            self._count(span)
        if sampled(span.trace, self._sample):
            self._spans.on_end(self._readable(span))

    def close(self) -> None:
        """Send what is left."""
        self._spans.shutdown()
        self._metrics.shutdown(_TIMEOUT * 1000)

    def _count(self, span: SpanData) -> None:
        told = span.attributes
        labels: dict[str, str] = {name: str(told[name]) for name in _LABELS if name in told}
        error = {"error.type": span.error} if span.error else {}
        self._durations.record(span.end - span.start, labels | error)
        for kind in ("input", "output"):
            if count := told.get(f"gen_ai.usage.{kind}_tokens"):
                self._tokens.record(int(str(count)), labels | {"gen_ai.token.type": kind})

    def _readable(self, span: SpanData) -> ReadableSpan:
        attributes: Mapping[str, str | int | float | bool | tuple[str, ...]] = span.attributes
        return ReadableSpan(
            span.name,
            _context(span.trace, span.id, True),
            _context(span.trace, span.parent, True) if span.parent else None,
            self._resource,
            attributes,
            links=[Link(_context(*span.link))] if span.link else (),
            kind=SpanKind.CLIENT if span.client else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.message or None) if span.error else Status(StatusCode.UNSET),
            start_time=round(span.start * 1e9),
            end_time=round(span.end * 1e9),
            instrumentation_scope=self._scope,
        )


def _context(trace: str, span: str, is_sampled: bool) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT)
    return SpanContext(int(trace, 16), int(span, 16), False, flags)
