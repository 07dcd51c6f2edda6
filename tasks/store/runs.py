"""Rows of ``etl_runs``: every change of state goes through the table of transitions."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tasks.core.errors import LostClaimError, NotFoundError
from tasks.domain.runs import (
    ACTIVE,
    ASIDE,
    BACKFILL,
    COMPLETED,
    UNFINISHED,
    RunStatus,
    check_transition,
    sources_of,
)
from tasks.store.tables import News, QuoteRow, Run, RunPage


def add(session: Session, source: str, values: Mapping[str, Any]) -> Run | None:
    """Insert a queued run; None if the source has an active run or the slot has had its run."""
    statement = insert(Run).values(source=source, **values).on_conflict_do_nothing().returning(Run)
    return session.scalars(statement).one_or_none()


def get(session: Session, run_id: UUID, *, lock: bool = False) -> Run:
    """Return a run.

    Args:
        session: Of the caller's transaction.
        run_id: The run.
        lock: Keep others from changing it until the transaction ends.

    Raises:
        NotFoundError: If there is none.
    """
    run = session.get(Run, run_id, with_for_update=lock, populate_existing=lock)
    if run is None:
        raise NotFoundError(f"There is no run {run_id}.", run_id=str(run_id))
    return run


def active(session: Session, source: str, *, backfill: bool = False) -> Run | None:
    """Return the source's run that is queued or running: the live one, or the backfill."""
    kind = Run.trigger == BACKFILL if backfill else Run.trigger != BACKFILL
    return session.scalars(
        select(Run).where(Run.source == source, Run.status.in_(ACTIVE), kind)
    ).one_or_none()


def active_ids(session: Session) -> list[UUID]:
    """Return the ids of all runs that are queued or running."""
    return list(session.scalars(select(Run.run_id).where(Run.status.in_(ACTIVE))))


def latest(session: Session, source: str) -> Run | None:
    """Return the source's newest run."""
    newest = (
        select(Run).where(Run.source == source).order_by(Run.queued_at.desc(), Run.run_id).limit(1)
    )
    return session.scalars(newest).one_or_none()


def unfinished_before(session: Session, run: Run, *, since: datetime) -> Run | None:
    """Return the run just before ``run`` if it broke off and began after ``since``.

    Replays, backfills and dry runs are passed over: none is on the way of the checkpoint.
    """
    previous = session.scalars(
        select(Run)
        .where(
            Run.source == run.source,
            Run.run_id != run.run_id,
            Run.trigger.not_in(ASIDE),
            func.coalesce(Run.options["dry_run"].as_boolean(), False).is_(False),
        )
        .order_by(Run.queued_at.desc(), Run.run_id)
        .limit(1)
    ).one_or_none()
    if previous is None or previous.status not in UNFINISHED or previous.queued_at < since:
        return None
    return previous


def has_completed_since(session: Session, run: Run) -> bool:
    """Tell whether a later run of the source has moved the checkpoint on."""
    later = exists().where(
        Run.source == run.source,
        Run.queued_at > run.queued_at,
        Run.status.in_(COMPLETED),
        Run.trigger.not_in(ASIDE),
    )
    return bool(session.scalar(select(later)))


def matching(
    session: Session,
    statuses: Collection[str],
    *,
    source: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int,
) -> list[Run]:
    """Return runs in some of the states, the newest first.

    Args:
        session: Of the caller's transaction.
        statuses: As in :class:`tasks.domain.runs.RunStatus`.
        source: Only of this source.
        since: Only those queued then or later.
        until: Only those queued before.
        limit: At most so many.
    """
    conditions = [Run.status.in_(statuses), Run.trigger != "replay"]
    if source is not None:
        conditions.append(Run.source == source)
    if since is not None:
        conditions.append(Run.queued_at >= since)
    if until is not None:
        conditions.append(Run.queued_at < until)
    newest = select(Run).where(*conditions).order_by(Run.queued_at.desc(), Run.run_id)
    return list(session.scalars(newest.limit(limit)))


def hold_active(session: Session, run: Run) -> None:
    """Make sure, until the transaction ends, that nobody has taken the run from us.

    Raises:
        LostClaimError: If it was ended or handed on since ``run`` was read.
    """
    held = session.scalar(
        select(Run.run_id)
        .where(Run.run_id == run.run_id, Run.fence == run.fence, Run.status.in_(ACTIVE))
        .with_for_update(read=True)
    )
    if held is None:
        raise LostClaimError(run_id=str(run.run_id))


def start(session: Session, run_id: UUID) -> bool:
    """Make a queued run a running one; False if it runs already or is finished."""
    started = session.scalar(
        update(Run)
        .where(Run.run_id == run_id, Run.status == RunStatus.QUEUED)
        .values(
            status=RunStatus.RUNNING, started_at=func.clock_timestamp(), attempts=Run.attempts + 1
        )
        .returning(Run.run_id)
    )
    return started is not None


def count_loaded(session: Session, run: Run, rows: Sequence[RunPage]) -> Run:
    """Add loaded pages to the run's figures and hold the run until the transaction ends.

    Raises:
        LostClaimError: If the run was ended or handed on since ``run`` was read.
    """
    changed = session.scalars(
        update(Run)
        .where(Run.run_id == run.run_id, Run.fence == run.fence, Run.status.in_(ACTIVE))
        .values(
            pages=Run.pages + len(rows),
            records_extracted=Run.records_extracted + sum(row.items for row in rows),
            records_processed=Run.records_processed + sum(row.records for row in rows),
            records_failed=Run.records_failed + sum(row.rejected for row in rows),
            records_unchanged=Run.records_unchanged + sum(row.unchanged for row in rows),
        )
        .returning(Run)
        .execution_options(populate_existing=True, synchronize_session=False)
    ).one_or_none()
    if changed is None:
        raise LostClaimError(run_id=str(run.run_id))
    return changed


def finish(session: Session, run_id: UUID, status: RunStatus, **values: Any) -> bool:
    """Give a run its final state and take it from whoever works on it.

    Returns:
        False if the run was final already; it then stays as it is.
    """
    finished = session.scalar(
        update(Run)
        .where(Run.run_id == run_id, Run.status.in_(sources_of(status)))
        .values(status=status, finished_at=func.clock_timestamp(), fence=Run.fence + 1, **values)
        .returning(Run.run_id)
    )
    return finished is not None


def leaves_out_what_is_known(run: Run) -> bool:
    """Tell whether items that are known byte by byte are passed over."""
    return not run.options.get("full_refresh") and run.trigger not in ASIDE


def require_transition(run: Run, after: RunStatus) -> None:
    """Raise if ``run`` cannot become ``after``.

    Raises:
        ConflictError: Naming both states.
    """
    check_transition(RunStatus(run.status), after)


def count_latest(session: Session, run: Run, external_ids: Sequence[str]) -> int:
    """Return how many of these items the run was the last to change."""
    counts = [
        session.scalar(
            select(func.count()).where(
                table.run_id == run.run_id,
                table.source == run.source,
                table.external_id.in_(external_ids),
            )
        )
        for table in (QuoteRow, News)
    ]
    return sum(count or 0 for count in counts)


def items_before(session: Session, run_id: UUID, page: int) -> int:
    """Return how many items the earlier pages of a run hold."""
    earlier = select(func.coalesce(func.sum(RunPage.items), 0)).where(
        RunPage.run_id == run_id, RunPage.page < page
    )
    return session.scalars(earlier).one()
