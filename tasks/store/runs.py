"""Rows of ``etl_runs``: every change of state goes through the table of transitions."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Interval,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Session, aliased

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
from tasks.store.tables import Checkpoint, News, QuoteRow, Run, RunEvent, RunPage


def add(
    session: Session, source: str, values: Mapping[str, Any], *, resumes_within: timedelta | None
) -> tuple[Run, UUID | None] | None:
    """Insert a queued run and its first event, in one statement: somebody waits for the answer.

    It knows the source's checkpoint as it is now.

    Args:
        session: Of the caller's transaction.
        source: The source.
        values: Further columns.
        resumes_within: How long ago a run that broke off may have begun to be taken up.

    Returns:
        The run, and the run just before it if that one broke off not too long ago; None if the
        source has an active run or the slot has had its run.
    """
    statement = _add(tuple(values))
    within = timedelta() if resumes_within is None else resumes_within
    found = session.execute(statement, {**values, "of": source, "within": within}).one_or_none()
    return found and (found[0], found[1])


@cache
def _add(names: tuple[str, ...]) -> Select[Any]:
    """Return the statement of :func:`add`; to put it together takes as long as to execute it."""
    of = bindparam("of", type_=Text)
    checkpoint = select(Checkpoint.checkpoint).where(Checkpoint.source == of).scalar_subquery()
    given: dict[str, Any] = {name: bindparam(name) for name in names}
    queued = insert(Run).values(
        source=of, checkpoint_before=func.coalesce(checkpoint, cast({}, JSONB)), **given
    )
    added = queued.on_conflict_do_nothing().returning(*Run.__table__.columns).cte("added")
    detail = func.jsonb_build_object("trigger", added.c.trigger)
    noted = insert(RunEvent).from_select(
        ["run_id", "event", "detail"], select(added.c.run_id, literal("run_queued"), detail)
    )
    broken = _newest_if_broken(of, bindparam("within", type_=Interval))
    return select(aliased(Run, added), broken).add_cte(noted.cte("noted"))


def _newest_if_broken(source: Any, within: Any) -> Any:
    """Return the id of the source's newest run if it broke off and began within that time.

    Replays, backfills and dry runs are passed over: none is on the way of the checkpoint.
    """
    is_resumable = and_(
        Run.status.in_(UNFINISHED), Run.queued_at >= func.clock_timestamp() - within
    )
    return (
        select(case((is_resumable, Run.run_id)))
        .where(
            Run.source == source,
            Run.trigger.not_in(ASIDE),
            func.coalesce(Run.options["dry_run"].as_boolean(), False).is_(False),
        )
        .order_by(Run.queued_at.desc(), Run.run_id)
        .limit(1)
        .scalar_subquery()
    )


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


def start(session: Session, run_id: UUID) -> Run | None:
    """Make a queued run a running one and return it; None if it runs already or is finished."""
    return session.scalars(
        update(Run)
        .where(Run.run_id == run_id, Run.status == RunStatus.QUEUED)
        .values(
            status=RunStatus.RUNNING, started_at=func.clock_timestamp(), attempts=Run.attempts + 1
        )
        .returning(Run)
        .execution_options(populate_existing=True, synchronize_session=False)
    ).one_or_none()


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
