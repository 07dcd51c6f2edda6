"""Figures over all runs: from counters that outlive purged rows, and from the runs themselves."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Numeric, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.sql import Select

from tasks.domain.runs import FINAL, RunStatus
from tasks.store.tables import Asset, MetricTotal, QuoteRow, Run

GOOD = (RunStatus.SUCCESS, RunStatus.PARTIAL)
BAD = (RunStatus.FAILED, RunStatus.CRASHED)


_NEVER: dict[str, Any] = {
    "processed": 0,
    "failed": 0,
    "last_success": None,
    "last_failure": None,
    "average_duration_seconds": None,
    "total_runs": 0,
    "good_runs": 0,
}


def coins_by_source(connection: Connection) -> dict[str, int]:
    """Return how many assets each source observes."""
    statement = (
        select(QuoteRow.source, func.count()).group_by(QuoteRow.source).order_by(QuoteRow.source)
    )
    return dict(connection.execute(statement).all())


def total_assets(connection: Connection) -> int:
    """Count the assets."""
    return int(connection.scalar(select(func.count()).select_from(Asset)) or 0)


def by_source(connection: Connection, sources: Iterable[str]) -> list[dict[str, Any]]:
    """Return the figures of these sources, in their order; zeros for one that never ran."""
    seconds = func.extract("epoch", Run.finished_at - Run.started_at).cast(Numeric)
    is_good, is_bad = Run.status.in_(GOOD), Run.status.in_(BAD)
    statement = _final(
        Run.source,
        func.sum(Run.records_processed).label("processed"),
        func.sum(Run.records_failed).label("failed"),
        func.max(Run.finished_at).filter(is_good).label("last_success"),
        func.max(Run.finished_at).filter(is_bad).label("last_failure"),
        func.avg(seconds).label("average_duration_seconds"),
        func.count().label("total_runs"),
        func.count().filter(is_good).label("good_runs"),
        source=None,
    ).group_by(Run.source)
    latest = _latest_durations(connection)
    kept = _kept_totals(connection)
    rows = {row.source: dict(row._mapping) for row in connection.execute(statement)}  # noqa: SLF001
    return [_figures(rows.get(name, _NEVER | {"source": name}), latest, kept) for name in sources]


def _figures(row: dict[str, Any], latest: dict[str, Any], kept: dict[str, int]) -> dict[str, Any]:
    processed = max(int(row["processed"]), kept.get(row["source"], 0))
    return {
        "source": row["source"],
        "records_processed": processed,
        "total_processed": processed,
        "total_failed": int(row["failed"]),
        "last_success": row["last_success"],
        "last_failure": row["last_failure"],
        "last_run_duration_seconds": latest.get(row["source"]),
        "average_duration_seconds": row["average_duration_seconds"],
        "total_runs": row["total_runs"],
        "success_rate": row["good_runs"] / max(row["total_runs"], 1),
    }


def _latest_durations(connection: Connection) -> dict[str, Any]:
    seconds = func.extract("epoch", Run.finished_at - Run.started_at).cast(Numeric)
    statement = (
        _final(Run.source, seconds, source=None)
        .ext(distinct_on(Run.source))
        .order_by(Run.source, Run.queued_at.desc())
    )
    return dict(connection.execute(statement).all())


def _kept_totals(connection: Connection) -> dict[str, int]:
    """Return the counters of processed records, which do not fall when runs are purged."""
    statement = select(MetricTotal.labels["source"].astext, MetricTotal.value).where(
        MetricTotal.name == "etl_records_processed_total"
    )
    return {source: int(value) for source, value in connection.execute(statement)}


def latest(connection: Connection, statuses: tuple[RunStatus, ...], source: str | None) -> Any:
    """Return the newest run that ended in one of these states; None if there is none."""
    statement = (
        _final(Run, source=source).where(Run.status.in_(statuses)).order_by(Run.finished_at.desc())
    )
    return connection.execute(statement.limit(1)).one_or_none()


def _final(*columns: Any, source: str | None) -> Select[Any]:
    statement = select(*columns).where(Run.status.in_(FINAL))
    return statement if source is None else statement.where(Run.source == source)
