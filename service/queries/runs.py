"""Runs: the list, one run with its steps, and what the dashboard and the figures need of them."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Numeric, Text, cast, extract, func, select
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from service.encoding import rfc3339
from service.queries.columns import Columns
from service.queries.listing import Listing
from service.queries.ordering import Order
from tasks.core.errors import NotFoundError
from tasks.store.tables import Anomaly, RejectionRow, Run, RunEvent

_MS = cast(1000, Numeric)


def columns() -> Columns:
    """Return the members of a run, in the order of the contract."""
    seconds = extract("epoch", Run.finished_at - Run.started_at).cast(Numeric)
    return {
        "run_id": Run.run_id,
        "source": Run.source,
        "source_name": Run.source,
        "status": Run.status,
        "trigger": Run.trigger,
        "parent_run_id": Run.parent_run_id,
        "records_extracted": Run.records_extracted,
        "records_processed": Run.records_processed,
        "processed": Run.records_processed,
        "records_failed": Run.records_failed,
        "failed": Run.records_failed,
        "records_unchanged": Run.records_unchanged,
        "pages": Run.pages,
        "attempts": Run.attempts,
        "duration_seconds": seconds,
        "duration_ms": seconds * _MS,
        "queued_at": Run.queued_at,
        "started_at": Run.started_at,
        "completed_at": Run.finished_at,
        "finished_at": Run.finished_at,
        "error_message": Run.error_message,
        "message": Run.error_message,
        "checkpoint_before": Run.checkpoint_before,
        "checkpoint_after": Run.checkpoint_after,
        "anomalies": _anomalies(),
    }


def _anomalies() -> ColumnElement[Any]:
    """Return what was found about a run, read with its row: one statement for a whole page."""
    found = func.jsonb_build_object(
        "anomaly_id",
        Anomaly.anomaly_id,
        "rule",
        Anomaly.rule,
        "figure",
        Anomaly.figure,
        "reason",
        Anomaly.reason,
        "state",
        Anomaly.state,
    )
    every = func.jsonb_agg(aggregate_order_by(found, Anomaly.anomaly_id))
    empty = cast(cast("[]", Text), JSONB)
    return (
        select(func.coalesce(every, empty, type_=JSONB))
        .where(Anomaly.run_id == Run.run_id)
        .correlate(Run)
        .scalar_subquery()
    )


def listing(filters: dict[str, Any]) -> Listing:
    """Return the runs, newest first.

    Args:
        filters: ``source``, ``status``, ``trigger``, ``since``; others are ignored.
    """
    where: list[ColumnElement[bool]] = [
        getattr(Run, name) == filters[name]
        for name in ("source", "status", "trigger")
        if name in filters
    ]
    if "since" in filters:
        where.append(Run.queued_at >= filters["since"])
    order = Order(
        key=Run.queued_at, row_id=Run.run_id, descending=True, id_descending=True, nullable=False
    )
    return Listing(columns=columns(), source=Run.__table__, order=order, where=where)


def row(connection: Connection, run_id: UUID) -> dict[str, Any]:
    """Return one run as the list shows it.

    Raises:
        NotFoundError: If there is none.
    """
    selected: list[Any] = [column.label(name) for name, column in columns().items()]
    found = connection.execute(select(*selected).where(Run.run_id == run_id)).one_or_none()
    if found is None:
        raise NotFoundError(f"There is no run {run_id}.", run_id=str(run_id))
    return dict(found._mapping)  # noqa: SLF001


def one(connection: Connection, run_id: UUID) -> dict[str, Any]:
    """Return one run with its events and its rejections by rule.

    Raises:
        NotFoundError: If there is none.
    """
    selected: list[Any] = [column.label(name) for name, column in columns().items()]
    row = connection.execute(
        select(*selected, Run.options).where(Run.run_id == run_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no run {run_id}.", run_id=str(run_id))
    found = events(connection, run_id)
    return {
        **row._mapping,  # noqa: SLF001 - SQLAlchemy's public name for a row's mapping
        "steps": _steps(found),
        "events": found,
        "drift_events": _drift_events(found),
        "rejections": _rejections(connection, run_id),
    }


def events(connection: Connection, run_id: UUID, *, after: int = 0) -> list[dict[str, Any]]:
    """Return a run's events in order, those after one of them."""
    statement = (
        select(
            RunEvent.event_id,
            RunEvent.at,
            RunEvent.event,
            RunEvent.stage,
            RunEvent.page,
            RunEvent.attempt,
            RunEvent.detail,
        )
        .where(RunEvent.run_id == run_id, RunEvent.event_id > after)
        .order_by(RunEvent.event_id)
    )
    return [dict(row._mapping) for row in connection.execute(statement)]  # noqa: SLF001


def _rejections(connection: Connection, run_id: UUID) -> dict[str, int]:
    statement = (
        select(RejectionRow.rule, func.count())
        .where(RejectionRow.run_id == run_id)
        .group_by(RejectionRow.rule)
        .order_by(RejectionRow.rule)
    )
    return dict(connection.execute(statement).all())


def _drift_events(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"at": rfc3339(event["at"]), "page": event["page"], **event["detail"]}
        for event in found
        if event["event"] == "drift_detected"
    ]


def _steps(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fold the events of each stage, page and attempt into one step."""
    steps: dict[tuple[Any, ...], dict[str, Any]] = {}
    for event in found:
        if event["stage"] is None:
            continue
        name = (event["stage"], event["page"], event["attempt"])
        step = steps.setdefault(
            name,
            {
                **dict(zip(("stage", "page", "attempt"), name, strict=True)),
                "started_at": None,
                "finished_at": None,
                "outcome": None,
                "detail": {},
            },
        )
        _fold(step, event)
    return list(steps.values())


def _fold(step: dict[str, Any], event: dict[str, Any]) -> None:
    outcome = event["event"].removeprefix(f"{event['stage']}_")
    if outcome == "started":
        step["started_at"] = event["at"]
        return
    step["finished_at"] = event["at"]
    step["outcome"] = outcome
    step["detail"] |= event["detail"]


def newest(connection: Connection, source: str | None, *, limit: int) -> list[dict[str, Any]]:
    """Return the newest runs, of one source or of all."""
    selected: list[Any] = [column.label(name) for name, column in columns().items()]
    statement = select(*selected).order_by(Run.queued_at.desc(), Run.run_id.desc()).limit(limit)
    if source is not None:
        statement = statement.where(Run.source == source)
    return [dict(row._mapping) for row in connection.execute(statement)]  # noqa: SLF001


def milliseconds(duration: timedelta) -> Decimal:
    """Return a duration in ms, exact to the microsecond."""
    return Decimal(duration // timedelta(microseconds=1)) / 1000


def status(connection: Connection, run_id: UUID) -> str:
    """Return where a run stands.

    Raises:
        NotFoundError: If there is none.
    """
    found: str | None = connection.scalar(select(Run.status).where(Run.run_id == run_id))
    if found is None:
        raise NotFoundError(f"There is no run {run_id}.", run_id=str(run_id))
    return found
