"""Traces: one span for each request, sent to a real collector's address, without personal data."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.bank import world
from tests.server.world import served

from sycee.bank.config import Value

MARK = "Zenobia"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Collector(ThreadingHTTPServer):
    """Receives spans as an OTLP collector does."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Handler)

    def spans(self) -> list[Span]:
        parsed = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span for each in parsed for resource in each.resource_spans for scope in resource.scope_spans
            for span in scope.spans
        ]  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_each_request_has_a_span_without_its_content(tmp_path: Path, collector: Collector) -> None:
    endpoint = f"http://127.0.0.1:{collector.server_port}/v1/traces"
    with world.bank("sqlite", tmp_path) as bank:
        bank.config.values["http_traces"] = Value(endpoint, "test")
        with served(bank) as address:
            httpx.get(f"{address}/healthz?name={MARK}", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
            httpx.get(f"{address}/v1/wallets/{MARK}", headers={"user-agent": MARK, "baggage": f"name={MARK}"})
            httpx.get(f"{address}/{MARK}")
    spans = sorted(collector.spans(), key=lambda span: span.start_time_unix_nano)
    assert [span.name for span in spans] == ["health", "show_wallet", "none"]
    assert spans[0].trace_id.hex() == TRACE
    assert spans[1].trace_id.hex() != TRACE
    attributes = {each.key: each.value for each in spans[1].attributes}
    assert set(attributes) == {
        *("http.request.method", "http.response.status_code"),
        *("sycee.operation", "sycee.caller"),
    }
    assert attributes["http.response.status_code"].int_value == 401
    assert attributes["sycee.caller"].string_value == "anonymous"
    content = b"".join(collector.bodies)
    assert MARK.encode() not in content
    assert b"127.0.0.1" not in content
