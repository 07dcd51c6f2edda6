"""Findings about runs, the incidents they make, and what of them is still to be told."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, case, exists, func, or_, select, text, tuple_, update
from sqlalchemy.orm import Session

from tasks.core.errors import ConflictError, NotFoundError
from tasks.domain.anomalies import Finding, Key
from tasks.domain.runs import ASIDE, COMPLETED
from tasks.store import totals
from tasks.store.tables import Anomaly, Run

HISTORY_RUNS = 400
"""Three months of a run every six hours."""
_LOCK = text("select pg_advisory_xact_lock(hashtext('anomalies'), hashtext(:source))")


class PastRun(NamedTuple):
    """A completed run that brought all it asked for, and whether it was found remarkable."""

    run: Run
    flagged: bool


def history(session: Session, run: Run) -> list[PastRun]:
    """Return earlier runs that ``run`` can be held against, the newest first."""
    flagged = exists().where(Anomaly.run_id == Run.run_id)
    statement = (
        select(Run, flagged)
        .where(
            Run.source == run.source,
            Run.queued_at < run.queued_at,
            Run.status.in_(COMPLETED),
            Run.trigger.not_in(ASIDE),
            Run.resumed_run_id.is_(None),
            func.coalesce(Run.options["dry_run"].as_boolean(), False).is_(False),
        )
        .order_by(Run.queued_at.desc(), Run.run_id)
        .limit(HISTORY_RUNS)
    )
    return [PastRun(*row) for row in session.execute(statement)]


def of_run(session: Session, run_id: UUID) -> Sequence[Anomaly]:
    """Return what was found about a run."""
    return session.scalars(
        select(Anomaly).where(Anomaly.run_id == run_id).order_by(Anomaly.anomaly_id)
    ).all()


def record(
    session: Session,
    source: str,
    findings: Collection[Finding],
    *,
    run_id: UUID | None = None,
    alerts: bool,
) -> None:
    """Store findings; what belongs to an open incident joins it, what does not opens one.

    Args:
        session: Of the caller's transaction.
        source: The source.
        findings: About one run, or about the source as a whole; then one of an incident that is
            open already adds nothing.
        run_id: The run.
        alerts: Whether anybody wants to be told.
    """
    session.execute(_LOCK, {"source": source})
    for finding in findings:
        head = _open_incident(session, source, finding)
        if head is not None and run_id is None:
            continue
        session.add(_row(source, run_id, finding, head, alerts=alerts))
        totals.add(session, "data_anomalies_total", source=source, rule=finding.rule)
    session.flush()


def _open_incident(session: Session, source: str, finding: Finding) -> Anomaly | None:
    return session.scalars(
        select(Anomaly).where(
            Anomaly.source == source,
            Anomaly.rule == finding.rule,
            Anomaly.figure == finding.figure,
            Anomaly.asset_id.is_(None),
            Anomaly.incident_id.is_(None),
            Anomaly.state != "resolved",
        )
    ).one_or_none()


def _row(
    source: str, run_id: UUID | None, finding: Finding, head: Anomaly | None, *, alerts: bool
) -> Anomaly:
    return Anomaly(
        source=source,
        run_id=run_id,
        incident_id=None if head is None else head.anomaly_id,
        rule=finding.rule,
        figure=finding.figure,
        value=_decimal(finding.value),
        expected_low=_decimal(finding.low),
        expected_high=_decimal(finding.high),
        score=_decimal(finding.score),
        reason=finding.reason,
        state="open" if head is None else head.state,
        alert_due_at=func.now() if alerts and head is None else None,
    )


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(round(value, 6)))


def resolve(session: Session, source: str, keys: Collection[Key]) -> int:
    """End the open incidents of these keys, and return how many findings that were.

    Whoever was told of an incident, or is still to be told, is told of its end.
    """
    if not keys:
        return 0
    session.execute(_LOCK, {"source": source})
    is_told = and_(Anomaly.incident_id.is_(None), Anomaly.opened_sent_at.is_not(None))
    resolved = session.execute(
        update(Anomaly)
        .where(
            Anomaly.source == source,
            Anomaly.state != "resolved",
            Anomaly.asset_id.is_(None),
            tuple_(Anomaly.rule, Anomaly.figure).in_([tuple(key) for key in keys]),
        )
        .values(
            state="resolved",
            resolved_at=func.now(),
            alert_failures=0,
            alert_due_at=func.coalesce(Anomaly.alert_due_at, case((is_told, func.now()))),
        )
        .execution_options(synchronize_session=False)
        .returning(Anomaly.anomaly_id)
    )
    return len(resolved.all())


def acknowledge(session: Session, anomaly_id: int, *, actor: str) -> Anomaly:
    """Note that somebody has seen an incident: the finding and all others that belong to it.

    Raises:
        NotFoundError: If there is no such finding.
        ConflictError: If the incident is over.
    """
    found = session.get(Anomaly, anomaly_id, with_for_update=True)
    if found is None:
        raise NotFoundError(f"There is no anomaly {anomaly_id}.", anomaly_id=anomaly_id)
    if found.state == "resolved":
        raise ConflictError(f"The anomaly {anomaly_id} is resolved already.")
    head = found.incident_id or found.anomaly_id
    session.execute(
        update(Anomaly)
        .where(
            or_(Anomaly.anomaly_id == head, Anomaly.incident_id == head), Anomaly.state == "open"
        )
        .values(state="acknowledged", acknowledged_at=func.now(), acknowledged_by=actor)
        .execution_options(synchronize_session=False)
    )
    session.refresh(found)
    return found


def claim_alert(session: Session, *, lease: timedelta) -> Anomaly | None:
    """Take the incident whose news has waited longest; nobody else gets it until the lease ends."""
    due = session.scalars(
        select(Anomaly)
        .where(Anomaly.alert_due_at <= func.clock_timestamp())
        .order_by(Anomaly.alert_due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if due is not None:
        due.alert_due_at = func.clock_timestamp() + lease
        session.flush()
        session.refresh(due)
    return due


def alert_sent(session: Session, anomaly_id: int, *, opened: bool) -> None:
    """Note what was told: that the incident began, or that it is over."""
    incident = session.get_one(Anomaly, anomaly_id, with_for_update=True, populate_existing=True)
    incident.alert_failures = 0
    if opened:
        incident.opened_sent_at = func.clock_timestamp()
    else:
        incident.resolved_sent_at = func.clock_timestamp()
    # It may have ended while its beginning was being told.
    is_over = opened and incident.state == "resolved"
    incident.alert_due_at = func.clock_timestamp() if is_over else None


def alert_failed(session: Session, anomaly_id: int, *, wait: timedelta | None) -> None:
    """Note that telling failed; try again after ``wait``, or never."""
    incident = session.get_one(Anomaly, anomaly_id, with_for_update=True, populate_existing=True)
    incident.alert_failures += 1
    incident.alert_due_at = None if wait is None else func.clock_timestamp() + wait
