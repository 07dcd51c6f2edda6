"""The pipeline as Prometheus metrics: counters kept in the database, gauges asked of it.

Read from the database and not from the workers' memory, they survive restarts and purged rows, and
any API process can answer for all.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from service.observability import gauges
from tasks.core.logging import get_logger
from tasks.domain.runs import FINAL
from tasks.store.tables import MetricTotal
from tasks.store.totals import BUCKETS

COUNTERS = {
    "etl_runs_total": ("Runs that have ended.", ("source", "status")),
    "etl_records_processed_total": ("Records loaded or found unchanged.", ("source",)),
    "etl_records_rejected_total": ("Items put in quarantine.", ("source", "reason")),
    "etl_retries_total": ("Attempts at a stage after the first.", ("source", "stage")),
    "etl_give_ups_total": ("Stages that were not tried again.", ("source", "stage")),
    "etl_put_off_total": ("Messages put off because the database was away.", ("task",)),
    "etl_resent_total": ("Messages that the sweeper sent again.", ("source", "stage")),
    "etl_source_requests_total": ("Calls to a source by answer.", ("source", "code")),
    "schema_drift_events_total": ("Deviations from the accepted shape.", ("source",)),
    "data_anomalies_total": ("Findings about runs and prices.", ("source", "rule")),
}
HISTOGRAMS = {
    "etl_run_duration_seconds": ("Time from a run's start to its end.", ("source",)),
    "etl_stage_seconds": ("Time of one attempt at a stage.", ("source", "stage")),
    "etl_queue_wait_seconds": ("Time from a message's due moment to its start.", ()),
}
RISING = {"etl_rate_limit_wait_seconds": ("Seconds waited for the source's budget.", ("source",))}
"""Sums without the suffix ``_total`` that the text format asks of a counter; exposed as gauges."""
Totals = Mapping[str, list[tuple[dict[str, str], float]]]
_log = get_logger(__name__)


class PipelineCollector(Collector):
    """Asks the database at each scrape; without one it says so and leaves the rest out."""

    def __init__(self, engine: Engine, sources: Iterable[str], version: str) -> None:
        self._engine = engine
        self._sources = tuple(sources)
        self._version = version

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: the registry need not ask."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield every family of the pipeline."""
        build = GaugeMetricFamily("build_info", "The version that runs.", labels=("version",))
        build.add_metric((self._version,), 1)
        yield build
        families: list[Metric] = []
        try:
            with self._engine.connect() as connection:
                families = [*self._kept(connection), *gauges.read(connection, self._sources)]
        except SQLAlchemyError as error:
            _log.warning("pipeline_not_measured", reason=type(error).__name__)
        up = GaugeMetricFamily("etl_database_up", "Whether the database answered this scrape.")
        up.add_metric((), bool(families))
        yield up
        yield from families

    def _kept(self, connection: Connection) -> Iterable[Metric]:
        totals: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
        rows = connection.execute(select(MetricTotal.name, MetricTotal.labels, MetricTotal.value))
        for name, labels, value in rows:
            totals[name].append((labels, float(value)))
        for name, (text, labels) in COUNTERS.items():
            yield self._counter(name, text, labels, totals)
        for name, (text, labels) in HISTOGRAMS.items():
            yield _histogram(name, text, labels, totals)

        for name, (text, labels) in RISING.items():
            yield self._filled(GaugeMetricFamily(name, text, labels=labels), labels, totals)

    def _counter(self, name: str, text: str, labels: tuple[str, ...], totals: Totals) -> Metric:
        return self._filled(CounterMetricFamily(name, text, labels=labels), labels, totals)

    def _filled(self, family: Any, labels: tuple[str, ...], totals: Totals) -> Metric:
        name = family.name + ("_total" if family.type == "counter" else "")
        counts = {_values(found, labels): value for found, value in totals.get(name, ())}
        for series in self._expected(name, labels):  # so that the first increase is seen as one
            counts.setdefault(series, 0.0)
        for series, value in sorted(counts.items()):
            family.add_metric(series, value)
        filled: Metric = family
        return filled

    def _expected(self, name: str, labels: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
        if labels == ("source",):
            return [(source,) for source in self._sources]
        if name == "etl_runs_total":
            return [(source, str(status)) for source in self._sources for status in FINAL]
        return ()


def _histogram(name: str, text: str, labels: tuple[str, ...], totals: Totals) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    sums = {_values(found, labels): value for found, value in totals.get(f"{name}_sum", ())}
    found: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for label_values, value in totals.get(f"{name}_bucket", ()):
        found[_values(label_values, labels)][label_values["le"]] = value
    for series, counts in sorted(found.items()):
        family.add_metric(series, _cumulative(counts), sums.get(series, 0.0))
    return family


def _cumulative(counts: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the buckets as Prometheus wants them; the database counts each one by itself."""
    running = 0.0
    buckets = []
    for bound in (*BUCKETS, "+Inf"):
        running += counts.get(bound, 0.0)
        buckets.append((bound, running))
    return buckets


def _values(labels: Mapping[str, str], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(labels.get(name, "")) for name in names)
