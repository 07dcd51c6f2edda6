"""OpenTelemetry behind :mod:`tasks.core.tracing`; imported only when traces are on.

An error is a type here, never a text: what a driver or a source says may hold what was sent.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Kind = Literal["internal", "server", "client", "producer", "consumer"]
_MAX_SQL_CHARS = 2_000
_propagator = TraceContextTextMapPropagator()


def exporting(role: str) -> "Spans":
    """Return spans that are sent by OTLP over HTTP, in batches, from a thread of its own."""
    return Spans(role, BatchSpanProcessor(OTLPSpanExporter()))


class Spans:
    """The spans of one process.

    The provider is not made the global one: a library that traces by itself is not asked to.

    Args:
        role: Names the service.
        processor: Gets every span that ends.
    """

    def __init__(self, role: str, processor: SpanProcessor) -> None:
        resource = Resource.create({"service.name": f"kasparro-{role}"})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("kasparro")

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    @contextmanager
    def span(
        self,
        name: str,
        attributes: Mapping[str, Any],
        *,
        kind: Kind,
        carrier: Mapping[str, str] | None,
    ) -> Iterator[None]:
        """See :func:`tasks.core.tracing.span`."""
        with self._tracer.start_as_current_span(
            name,
            context=None if carrier is None else _propagator.extract(carrier, Context()),
            kind=SpanKind[kind.upper()],
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                _mark(span, error)
                raise

    def statement(self, sql: str) -> Span | None:
        """See :func:`tasks.core.tracing.statement`; the text has placeholders, no values."""
        if not trace.get_current_span().is_recording():
            return None
        verb = sql.split(None, 1)[0].upper() if sql.strip() else "SQL"
        attributes = {
            "db.system.name": "postgresql",
            "db.operation.name": verb,
            "db.query.text": sql[:_MAX_SQL_CHARS],
        }
        return self._tracer.start_span(verb, kind=SpanKind.CLIENT, attributes=attributes)

    def end(self, span: Span, error: BaseException | None) -> None:
        """See :func:`tasks.core.tracing.end`."""
        if error is not None:
            _mark(span, error)
        span.end()

    def note(self, attributes: Mapping[str, Any]) -> None:
        """See :func:`tasks.core.tracing.note`."""
        trace.get_current_span().set_attributes(attributes)

    def failed(self, error: BaseException) -> None:
        """See :func:`tasks.core.tracing.failed`."""
        _mark(trace.get_current_span(), error)

    def carrier(self) -> dict[str, str]:
        """See :func:`tasks.core.tracing.carrier`."""
        headers: dict[str, str] = {}
        _propagator.inject(headers)
        return headers

    @contextmanager
    def continued(self, traceparent: str) -> Iterator[None]:
        """See :func:`tasks.core.tracing.continued`."""
        token = contexts.attach(_propagator.extract({"traceparent": traceparent}, Context()))
        try:
            yield
        finally:
            contexts.detach(token)

    def ids(self) -> dict[str, str]:
        """Return the ids of the span around this line, for a log record."""
        found = trace.get_current_span().get_span_context()
        if not found.is_valid:
            return {}
        return {
            "trace_id": trace.format_trace_id(found.trace_id),
            "span_id": trace.format_span_id(found.span_id),
        }


def _mark(span: Span, error: BaseException) -> None:
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR))
