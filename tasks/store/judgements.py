"""Which runs are still to be judged, and what they are judged by."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from tasks.domain.runs import COMPLETED
from tasks.store.tables import QuoteRow, Run, RunPage

_MOST_AT_ONCE = 100


def waiting(session: Session) -> list[UUID]:
    """Return completed runs that nobody has judged, the oldest first."""
    statement = (
        select(Run.run_id)
        .where(Run.judged_at.is_(None), Run.status.in_(COMPLETED))
        .order_by(Run.finished_at)
        .limit(_MOST_AT_ONCE)
    )
    return list(session.scalars(statement))


def take(session: Session, run_id: UUID) -> Run | None:
    """Lock a completed run for judging; None if it was judged or somebody else is at it."""
    return session.scalars(
        select(Run)
        .where(Run.run_id == run_id, Run.judged_at.is_(None), Run.status.in_(COMPLETED))
        .with_for_update(skip_locked=True)
    ).one_or_none()


def note(session: Session, run_id: UUID, judgement: Mapping[str, Any] | None) -> None:
    """Note that a run was judged and what came of it; None if it cannot be judged."""
    session.execute(
        update(Run)
        .where(Run.run_id == run_id)
        .values(judged_at=func.now(), judgement=None if judgement is None else dict(judgement))
    )


def page_items(session: Session, run_id: UUID) -> list[int]:
    """Return how many items each page of a run held, in order."""
    statement = select(RunPage.items).where(RunPage.run_id == run_id).order_by(RunPage.page)
    return list(session.scalars(statement))


def newest_change(session: Session, run_id: UUID) -> datetime | None:
    """Return the newest source timestamp among the quotes that a run has changed."""
    newest = select(func.max(QuoteRow.observed_at)).where(QuoteRow.run_id == run_id)
    return session.scalar(newest)
