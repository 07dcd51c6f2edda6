"""What the sweeper looks for: whose turn it is, messages that may be lost, runs that crash."""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tasks.domain.runs import ACTIVE, PageState, Stage
from tasks.store.pages import RESEND_AFTER
from tasks.store.tables import DataVersion, Run, RunPage


def take_turn(session: Session, interval: timedelta) -> bool:
    """Tell whether no other process has swept within ``interval``; if so, the turn is taken."""
    statement = insert(DataVersion).values(topic="sweep", version=1)
    taken = session.execute(
        statement.on_conflict_do_update(
            index_elements=["topic"],
            set_={"version": DataVersion.version + 1, "changed_at": func.clock_timestamp()},
            where=DataVersion.changed_at < func.clock_timestamp() - interval,
        ).returning(DataVersion.version)
    )
    return taken.one_or_none() is not None


class Due(NamedTuple):
    """A stage that nobody works on and whose message may be lost."""

    run_id: UUID
    source: str
    stage: Stage
    page: int
    attempts: int


def due(session: Session, run_id: UUID | None = None) -> list[Due]:
    """Return what nobody holds and should have been taken up by now, locked for this transaction.

    Args:
        session: Of the caller's transaction; rows that another one works on are passed over.
        run_id: Only this run, whether or not its time has come.
    """
    conditions = [
        Run.status.in_(ACTIVE),
        RunPage.state.in_([stage.takes for stage in Stage]),
        or_(RunPage.state == PageState.PENDING, RunPage.batch.is_not(None)),
        or_(RunPage.lease_until.is_(None), RunPage.lease_until < func.clock_timestamp()),
    ]
    if run_id is None:
        conditions.append(RunPage.wake_at <= func.clock_timestamp())
    else:
        conditions.append(RunPage.run_id == run_id)
    rows = session.execute(
        select(RunPage, Run.source)
        .join(Run, Run.run_id == RunPage.run_id)
        .where(*conditions)
        .order_by(RunPage.run_id, RunPage.page)
        .with_for_update(skip_locked=True, of=RunPage)
    ).all()
    found: dict[tuple[UUID, Stage, int], Due] = {}
    for row, source in rows:
        stage = next(stage for stage in Stage if stage.takes == row.state)
        page = row.page if stage is Stage.FETCH or row.batch is None else row.batch
        found.setdefault(
            (row.run_id, stage, page), Due(row.run_id, source, stage, page, row.attempts)
        )
        row.wake_at = func.clock_timestamp() + RESEND_AFTER * 2 ** min(row.resends, 5)
        row.resends += 1
    session.flush()
    return list(found.values())


def crashed(session: Session, *, max_attempts: int) -> list[tuple[UUID, int]]:
    """Return (run, page) of active runs where claim after claim ran out without an end."""
    rows = session.execute(
        select(RunPage.run_id, func.min(RunPage.page))
        .join(Run, Run.run_id == RunPage.run_id)
        .where(
            Run.status.in_(ACTIVE),
            RunPage.attempts - RunPage.failures >= max_attempts,
            RunPage.lease_until < func.clock_timestamp(),
        )
        .group_by(RunPage.run_id)
    )
    return [(run_id, page) for run_id, page in rows]
