"""What the pipeline looks like at this moment, one SELECT for each table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import Connection, func, select, text

from tasks.domain.runs import RunStatus
from tasks.store.tables import Checkpoint, DataVersion, QuoteRow, Run, SchemaDriftLog

_HELP = {
    "etl_duration_seconds_avg": "Mean duration of the kept runs.",
    "etl_last_run_timestamp": "When the newest run ended, in Unix seconds.",
    "etl_last_success_timestamp": "When a run last succeeded, in Unix seconds.",
    "etl_failures_24h": "Runs that failed in the last 24 hours.",
    "etl_source_freshness_seconds": "Time since a run last succeeded.",
    "crypto_coins_total": "Assets a source observes now; a gauge in spite of its name.",
    "crypto_total_market_cap": "Sum of the market values a source reports, in USD.",
    "schema_drift_confidence_avg": "Mean confidence of the drift seen in the last 24 hours.",
    "schema_drift_events_24h": "Kinds of drift seen in the last 24 hours.",
}
_ZERO_WHEN_MISSING = {"etl_failures_24h", "crypto_coins_total", "schema_drift_events_24h"}


def read(connection: Connection, sources: Sequence[str]) -> Iterable[Metric]:
    """Yield the gauges by source, and when somebody last swept."""
    figures: dict[str, dict[str, Any]] = {}
    for found in (
        _runs(connection),
        _checkpoints(connection),
        _quotes(connection),
        _drift(connection),
    ):
        figures |= found
    for name, help_text in _HELP.items():
        yield _by_source(name, help_text, figures.get(name, {}), sources)
    yield _last_sweep(connection)


def _by_source(
    name: str, help_text: str, figures: Mapping[str, Any], sources: Sequence[str]
) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=("source",))
    missing = dict.fromkeys(sources, 0) if name in _ZERO_WHEN_MISSING else {}
    for source, value in sorted({**missing, **figures}.items()):
        if value is not None:
            family.add_metric((source,), float(value))
    return family


def _last_sweep(connection: Connection) -> Metric:
    family = GaugeMetricFamily(
        "etl_last_sweep_timestamp", "When somebody last looked for lost work, in Unix seconds."
    )
    at = func.extract("epoch", DataVersion.changed_at)
    moment = connection.scalar(select(at).where(DataVersion.topic == "sweep"))
    if moment is not None:
        family.add_metric((), float(moment))
    return family


def _runs(connection: Connection) -> dict[str, dict[str, Any]]:
    seconds = func.extract("epoch", Run.finished_at - Run.started_at)
    is_recent_failure = Run.status.in_((RunStatus.FAILED, RunStatus.CRASHED)) & (
        Run.finished_at > func.now() - text("interval '24 hours'")
    )
    rows = connection.execute(
        select(
            Run.source,
            func.avg(seconds),
            func.extract("epoch", func.max(Run.finished_at)),
            func.count().filter(is_recent_failure),
        ).group_by(Run.source)
    )
    return _columns(
        rows, ("etl_duration_seconds_avg", "etl_last_run_timestamp", "etl_failures_24h")
    )


def _checkpoints(connection: Connection) -> dict[str, dict[str, Any]]:
    at = Checkpoint.last_success_at
    rows = connection.execute(
        select(
            Checkpoint.source,
            func.extract("epoch", at),
            func.extract("epoch", func.clock_timestamp() - at),
        )
    )
    return _columns(rows, ("etl_last_success_timestamp", "etl_source_freshness_seconds"))


def _quotes(connection: Connection) -> dict[str, dict[str, Any]]:
    rows = connection.execute(
        select(QuoteRow.source, func.count(), func.sum(QuoteRow.market_cap_usd)).group_by(
            QuoteRow.source
        )
    )
    return _columns(rows, ("crypto_coins_total", "crypto_total_market_cap"))


def _drift(connection: Connection) -> dict[str, dict[str, Any]]:
    log = SchemaDriftLog
    rows = connection.execute(
        select(log.source, func.avg(log.confidence_score), func.count())
        .where(log.last_seen_at > func.now() - text("interval '24 hours'"))
        .group_by(log.source)
    )
    return _columns(rows, ("schema_drift_confidence_avg", "schema_drift_events_24h"))


def _columns(rows: Iterable[Any], names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Turn rows of (source, value, value, …) into name → source → value."""
    figures: dict[str, dict[str, Any]] = {name: {} for name in names}
    for source, *values in rows:
        for name, value in zip(names, values, strict=True):
            figures[name][source] = value
    return figures
