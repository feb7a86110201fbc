"""An OTLP receiver over HTTP: decodes what comes and keeps it."""

import asyncio
import gzip
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from msgspec import Struct
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


class Span(Struct):
    """A span as it came."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    start: int
    end: int
    status: int
    message: str
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    resource: dict[str, Any]
    schema: str


class Receiver:
    """What came, in order."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.metrics: dict[str, list[tuple[dict[str, Any], float, float]]] = {}
        """By name: attributes, count and sum."""
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self.came = asyncio.Condition()

    async def traces(self, request: web.Request) -> web.Response:
        told = ExportTraceServiceRequest.FromString(await self._body(request))
        for resource in told.resource_spans:
            of = _values(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans += [_span(span, of, scope.schema_url) for span in scope.spans]
        async with self.came:
            self.came.notify_all()
        return web.Response(content_type="application/x-protobuf")

    async def measures(self, request: web.Request) -> web.Response:
        told = ExportMetricsServiceRequest.FromString(await self._body(request))
        for resource in told.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.metrics[metric.name] = [
                        (_values(point.attributes), point.count, point.sum) for point in metric.histogram.data_points
                    ]
        return web.Response(content_type="application/x-protobuf")

    async def _body(self, request: web.Request) -> bytes:
        self.headers.append(dict(request.headers))
        body = await request.read()
        return gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body

    async def span(self, name: str) -> Span:
        """The first span of that name, once it has come."""
        async with asyncio.timeout(60), self.came:
            while not (found := [span for span in self.spans if span.name == name]):
                await self.came.wait()
        return found[0]


def _span(span: Any, resource: dict[str, Any], schema: str) -> Span:
    return Span(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.name,
        span.kind,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code,
        span.status.message,
        _values(span.attributes),
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        resource,
        schema,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


@asynccontextmanager
async def receiving() -> AsyncGenerator[Receiver]:
    """A receiver on a port of loopback."""
    receiver = Receiver()
    application = web.Application()
    application.router.add_post("/v1/traces", receiver.traces)
    application.router.add_post("/v1/metrics", receiver.measures)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield receiver
    await runner.cleanup()
