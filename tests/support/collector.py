"""An OpenTelemetry collector that keeps every span in memory, and a trace as people read it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """A span as it arrived."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    began_ns: int
    failed: bool
    facts: dict[str, Any]


@dataclass
class Collector:
    """Where it listens, and what it got."""

    url: str = ""
    spans: list[Seen] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _facts(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_seen(service, span) for span in scope.spans]

    def of(self, trace_id: str) -> list[Seen]:
        return [span for span in self.spans if span.trace_id == trace_id]


def _seen(service: str, span: Any) -> Seen:
    return Seen(
        service,
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.status.code == span.status.STATUS_CODE_ERROR,
        _facts(span.attributes),
    )


def _facts(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: Any) -> Any:
    found = getattr(value, value.WhichOneof("value"))
    return [_value(each) for each in found.values] if hasattr(found, "values") else found


@contextmanager
def collecting() -> Iterator[Collector]:
    """Listen on a free port of the loopback interface."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def drawn(spans: list[Seen]) -> str:
    """Draw a trace as a tree, statements counted."""
    known = {span.span_id for span in spans}
    lines: list[str] = []

    def draw(span: Seen, depth: int) -> None:
        below = sorted((s for s in spans if s.parent_id == span.span_id), key=lambda s: s.began_ns)
        told = [child for child in below if "db.query.text" not in child.facts]
        pages = span.facts.get("pages", "")
        lines.append(
            f"{'  ' * depth}{span.name} {pages} [{span.service}] "
            f"{len(below) - len(told)} statements"
        )
        for child in told:
            draw(child, depth + 1)

    for root in spans:
        if root.parent_id not in known:
            draw(root, 0)
    return "\n".join(lines)
