"""Traces: what is done for one run or one request, in whatever process.

Off unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set. Off, nothing of OpenTelemetry is imported and a
span costs one comparison.
"""

from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from tasks.core.errors import ConfigurationError

if TYPE_CHECKING:
    from tasks.core.spans import Kind, Spans

Attributes = Mapping[str, Any]
_spans: "Spans | None" = None


def configure(endpoint: str, *, role: str) -> None:
    """Begin to trace in this process, once, and after a fork; an empty endpoint leaves it off.

    Args:
        endpoint: Where traces go. The exporter reads this and its other variables itself.
        role: Names the service: ``kasparro-api``, ``kasparro-worker``.

    Raises:
        ConfigurationError: If OpenTelemetry is not installed.
    """
    if not endpoint or _spans is not None:
        return
    try:
        from tasks.core import spans  # noqa: PLC0415 - only where it is asked for
    except ImportError as error:
        raise ConfigurationError(
            "OTEL_EXPORTER_OTLP_ENDPOINT: OpenTelemetry is missing; "
            "install it with `pip install 'kasparro[otel]'`."
        ) from error
    use(spans.exporting(role))


def use(spans: "Spans | None") -> None:
    """Trace with these spans from now on; None ends it."""
    global _spans  # noqa: PLW0603 - one for each process, as the log is
    _spans = spans


def stop() -> None:
    """Send what was not sent yet, and end it."""
    if _spans is not None:
        _spans.close()
    use(None)


def is_on() -> bool:
    """Tell whether this process traces."""
    return _spans is not None


def span(
    name: str,
    attributes: Attributes | None = None,
    *,
    kind: "Kind" = "internal",
    carrier: Mapping[str, str] | None = None,
) -> AbstractContextManager[object]:
    """Trace what the block does; an exception that leaves it marks the span.

    Args:
        name: Of few values: a stage, a route, never an id.
        attributes: Facts about it, never a secret or a payload.
        kind: What it is to other processes.
        carrier: Headers of the message or request it answers; without, it belongs to the span
            around it.
    """
    if _spans is None:
        return nullcontext()
    return _spans.span(name, attributes or {}, kind=kind, carrier=carrier)


def statement(sql: str) -> Any:
    """Begin the span of an SQL statement, to be given to :func:`end`; None outside of a span."""
    return None if _spans is None else _spans.statement(sql)


def end(begun: Any, error: BaseException | None = None) -> None:
    """End what :func:`statement` began."""
    if _spans is not None and begun is not None:
        _spans.end(begun, error)


def note(attributes: Attributes) -> None:
    """Add facts to the span around this line."""
    if _spans is not None:
        _spans.note(attributes)


def failed(error: BaseException) -> None:
    """Mark the span around this line as failed, where an error becomes a value."""
    if _spans is not None:
        _spans.failed(error)


def carrier() -> dict[str, str]:
    """Return the headers (W3C Trace Context) that let a message go on with this trace."""
    return {} if _spans is None else _spans.carrier()


def continued(traceparent: str | None) -> AbstractContextManager[object]:
    """Let the block belong to a trace that was begun elsewhere; None changes nothing."""
    if _spans is None or traceparent is None:
        return nullcontext()
    return _spans.continued(traceparent)


def add_ids(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Add ``trace_id`` and ``span_id`` to a log record; a processor of structlog."""
    if _spans is not None:
        event.update(_spans.ids())
    return event
