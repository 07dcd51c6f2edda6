"""Requests as Prometheus metrics, correct over several processes, one series for each route.

prometheus-flask-exporter brings the usual ``flask_http_*`` ones; its default would make a series
of every path a scanner tries, so both group by the rule that matched. Answers that the front door
gives (see :mod:`service.rest.front`) never reach Flask: they are in the ``api_*`` metrics only.
"""

from collections.abc import Callable, Iterable

from flask import Flask, Request, Response, g, request
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, values
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_flask_exporter import PrometheusMetrics

from service.observability.requests import latency_ms
from tasks.core.clock import Clock

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
Measure = Callable[[str, str, int, float | None], None]
"""Takes the route, the method, the status, and the seconds if they are known."""


def url_rule(asked: Request) -> str:
    """Return the rule that matched, or one word for all that match none."""
    return asked.url_rule.rule if asked.url_rule else "unmatched"


def init_app(app: Flask, clock: Clock) -> Measure:
    """Count and time every request that Flask answers.

    Returns:
        What does so for a request that is answered before Flask is asked.
    """
    registry = CollectorRegistry()
    app.extensions["kasparro_registry"] = registry
    exporter = PrometheusMetrics(
        app=None, path=None, registry=registry, group_by=url_rule, buckets=_BUCKETS
    )
    exporter.init_app(app)
    requests = Counter(
        "api_requests_total",
        "Requests answered.",
        ("endpoint", "method", "code"),
        registry=registry,
    )
    durations = Histogram(
        "api_request_duration_seconds",
        "Time from a request to its answer; without the time a stream is read.",
        ("endpoint",),
        buckets=_BUCKETS,
        registry=registry,
    )

    def measure(endpoint: str, method: str, status: int, took_s: float | None) -> None:
        requests.labels(endpoint, method, status).inc()
        if took_s is not None:
            durations.labels(endpoint).observe(took_s)

    @app.after_request
    def measure_response(response: Response) -> Response:
        took_s = latency_ms(clock) / 1000 if "began_s" in g else None
        measure(url_rule(request), _known(request.method), response.status_code, took_s)
        return response

    return measure


def expose(app: Flask, accept: str, *further: Collector) -> tuple[bytes, str]:
    """Return all metrics, of every process, as text.

    Args:
        app: Whose requests are measured.
        accept: The scraper's ``Accept``: OpenMetrics if it asks for it.
        further: Collectors of what is not about requests.

    Returns:
        The text and its content type.
    """
    registry = CollectorRegistry()
    if values.ValueClass._multiprocess:  # noqa: SLF001 - set once from the environment, at import
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(_Joined((REGISTRY, app.extensions["kasparro_registry"])))
    for collector in further:
        registry.register(collector)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Joined(Collector):
    """Several registries as one collector."""

    def __init__(self, registries: Iterable[CollectorRegistry]) -> None:
        self._registries = tuple(registries)

    def collect(self) -> Iterable[Metric]:
        for registry in self._registries:
            yield from registry.collect()

    def describe(self) -> Iterable[Metric]:
        return ()


def _known(method: str) -> str:
    return (
        method
        if method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
        else "other"
    )
