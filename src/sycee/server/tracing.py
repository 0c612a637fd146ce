"""Traces for OpenTelemetry, if the setting `http_traces` names a collector: one span for each request.

A span has the operation, the method, the status and the kind of caller: no path, query, address, id or content. Signed
payments have no span. A trace that a caller began, by the header `traceparent`, continues; other headers do not count.
"""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sycee.core.extras import extra
from sycee.server.observing import KIND, operation_of

with extra("bank"):
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import SpanKind, StatusCode, Tracer
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_HEADER: Final = b"traceparent"
_HEADER_BYTES: Final = 55  # of version 00
_EXPORT_S: Final = 5.0


class Tracing:
    """The exporter of one server. `close` sends what waits; a collector that does not answer costs spans alone."""

    def __init__(self, endpoint: str) -> None:
        # An own resource: the default one has attributes of the machine and from the environment.
        self._provider = TracerProvider(resource=Resource({SERVICE_NAME: "sycee"}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=_EXPORT_S)))
        self.tracer = self._provider.get_tracer("sycee.server")

    def close(self) -> None:
        """Send the spans that wait."""
        self._provider.shutdown()


class Traced:
    """Adds a span to each request of an application."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == _HEADER and len(value) == _HEADER_BYTES]
        context = self._propagator.extract({"traceparent": given[0].decode("latin-1")}) if given else None
        with self._tracer.start_as_current_span(
            "request", context, SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:

            async def noticed(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            try:
                await self._app(scope, receive, noticed)
            finally:
                operation = operation_of(scope)
                span.update_name(operation)
                span.set_attribute("http.request.method", scope["method"])
                span.set_attribute("sycee.operation", operation)
                span.set_attribute("sycee.caller", str(scope.get(KIND, "unknown")))
