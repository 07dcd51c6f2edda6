"""Which fetched pages wait for company, and which travel on together."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from tasks.domain import batches
from tasks.domain.batches import OpenPage
from tasks.domain.runs import PageState
from tasks.store import database, runs
from tasks.store.tables import RawPage, RunPage


def close(session: Session, run_id: UUID, *, last: bool) -> list[int]:
    """Put the pages that have waited long enough in batches and return the batches' names.

    Args:
        session: Of the caller's transaction.
        run_id: The run.
        last: Whether no further pages are to be waited for.
    """
    session.flush()
    pages = _waiting(session, run_id)
    before = runs.items_before(session, run_id, pages[0].page) if pages else 0
    closed = batches.closed_by(pages, before=before, now=database.now(session), last=last)
    _put_in_batches(session, run_id, closed)
    return [batch[0] for batch in closed]


def _waiting(session: Session, run_id: UUID) -> list[OpenPage]:
    """Return the fetched pages that are in no batch yet, in order.

    Those that came as they were known are no work, so they go along with others.
    """
    items: Any = RunPage.items
    if runs.leaves_out_what_is_known(runs.get(session, run_id)):
        items = case((RawPage.same_as.is_not(None), 0), else_=RunPage.items)
    rows = session.execute(
        select(RunPage.page, items, RunPage.fetched_at)
        .outerjoin(RawPage, RawPage.raw_page_id == RunPage.raw_page_id)
        .where(
            RunPage.run_id == run_id, RunPage.state == PageState.FETCHED, RunPage.batch.is_(None)
        )
        .order_by(RunPage.page)
    )
    return [OpenPage(page, items, cast("datetime", at)) for page, items, at in rows]


def _put_in_batches(session: Session, run_id: UUID, closed: Sequence[Sequence[int]]) -> None:
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
