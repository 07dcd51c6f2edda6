"""The stored pages of earlier runs, handed to a run that goes over them again."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from tasks.domain.runs import ASIDE, PageState
from tasks.store import batching
from tasks.store.tables import RawPage, Run, RunPage


class StoredPage(NamedTuple):
    """A raw page that a run has loaded.

    Attributes:
        items: How many items it holds, to size batches by.
    """

    raw_page_id: int
    items: int
    ingested_at: datetime


def of_run(session: Session, run_id: UUID) -> list[StoredPage]:
    """Return what a run loaded, in its order; pages that retention took are missing."""
    statement = (
        select(RawPage.raw_page_id, RunPage.items, RawPage.ingested_at)
        .join(RunPage, RunPage.raw_page_id == RawPage.raw_page_id)
        .where(RunPage.run_id == run_id, RunPage.state == PageState.LOADED)
        .order_by(RunPage.page)
    )
    return [StoredPage(*row) for row in session.execute(statement)]


def of_time(session: Session, source: str, *, since: datetime, until: datetime) -> list[StoredPage]:
    """Return what came in from ``since`` on and before ``until`` and was loaded, oldest first."""
    statement = (
        select(RawPage.raw_page_id, func.max(RunPage.items), RawPage.ingested_at)
        .join(RunPage, RunPage.raw_page_id == RawPage.raw_page_id)
        .join(Run, Run.run_id == RunPage.run_id)
        .where(
            RawPage.source == source,
            RawPage.ingested_at >= since,
            RawPage.ingested_at < until,
            RunPage.state == PageState.LOADED,
            Run.trigger.not_in(ASIDE),
            func.coalesce(Run.options["dry_run"].as_boolean(), False).is_(False),
        )
        .group_by(RawPage.raw_page_id)
        .order_by(RawPage.ingested_at, RawPage.raw_page_id)
    )
    return [StoredPage(*row) for row in session.execute(statement)]


def hand_over(session: Session, run_id: UUID, stored: Sequence[StoredPage]) -> None:
    """Give ``run_id`` stored pages as if it had just fetched them."""
    rows = [
        {
            "run_id": run_id,
            "page": number,
            "request_page": number,
            "state": PageState.FETCHED,
            "is_last": number == len(stored),
            "raw_page_id": page.raw_page_id,
            "items": page.items,
            "fetched_at": page.ingested_at,
        }
        for number, page in enumerate(stored, start=1)
    ]
    session.execute(insert(RunPage), rows)
    batching.close(session, run_id, last=True)


def add_loaded(
    session: Session, run_id: UUID, page: int, raw_page_id: int | None, *, records: int
) -> None:
    """Note a page whose records a run has loaded without fetching it."""
    values = {"state": PageState.LOADED, "raw_page_id": raw_page_id, "records": records}
    session.execute(
        insert(RunPage).values(
            run_id=run_id,
            page=page,
            request_page=page,
            items=records,
            loaded_at=func.clock_timestamp(),
            **values,
        )
    )
