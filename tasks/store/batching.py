"""Which fetched pages wait for company, and which travel on together."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from tasks.domain import batches
from tasks.domain.batches import OpenPage
from tasks.domain.runs import PageState
from tasks.store import database
from tasks.store.tables import RunPage


def waiting(session: Session, run_id: UUID) -> list[OpenPage]:
    """Return the fetched pages that are in no batch yet, in order."""
    rows = session.execute(
        select(RunPage.page, RunPage.items, RunPage.fetched_at)
        .where(
            RunPage.run_id == run_id, RunPage.state == PageState.FETCHED, RunPage.batch.is_(None)
        )
        .order_by(RunPage.page)
    )
    return [OpenPage(page, items, cast("datetime", at)) for page, items, at in rows]


def close_waiting(session: Session, run_id: UUID) -> None:
    """Put the fetched pages in batches without waiting for more of them."""
    session.flush()
    now = database.now(session)
    put_in_batches(session, run_id, batches.closed_by(waiting(session, run_id), now=now, last=True))


def put_in_batches(session: Session, run_id: UUID, closed: Sequence[Sequence[int]]) -> None:
    """Name each batch after its first page."""
    for pages in closed:
        session.execute(
            update(RunPage)
            .where(RunPage.run_id == run_id, RunPage.page.in_(pages))
            .values(batch=pages[0])
        )


def wake(session: Session, run_id: UUID, batch: int) -> None:
    """Make a batch due now."""
    session.execute(
        update(RunPage)
        .where(RunPage.run_id == run_id, RunPage.batch == batch)
        .values(wake_at=func.clock_timestamp())
    )
