"""Answers of sources, verbatim."""

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from tasks.domain.pages import Page
from tasks.domain.records import Item
from tasks.store.tables import RawPage, RunPage

_SET_ITEMS = text("update raw_pages set items = cast(:items as jsonb) where raw_page_id = :id")


def add(session: Session, run_id: UUID, number: int, source: str, page: Page) -> int:
    """Store one answer and return its id."""
    statement = (
        insert(RawPage)
        .values(
            run_id=run_id,
            page=number,
            source=source,
            request=page.request,
            status=page.status,
            media_type=page.media_type,
            headers=dict(page.headers),
            body=page.body,
            unchanged_count=page.unchanged_count,
            body_sha256=hashlib.sha256(page.body).digest(),
            ingested_at=page.fetched_at or func.now(),
        )
        .returning(RawPage.raw_page_id)
    )
    return session.scalars(statement).one()


def get(session: Session, raw_page_id: int | None) -> Page:
    """Return a stored answer as the connector gave it; only its checkpoint is not kept here."""
    row = session.get_one(RawPage, raw_page_id)
    return Page(
        request=row.request,
        body=row.body,
        media_type=row.media_type,
        checkpoint={},
        fetched_at=row.ingested_at,
        status=row.status,
        headers=row.headers,
        unchanged_count=row.unchanged_count,
    )


def set_items(session: Session, raw_page_id: int | None, items: Sequence[Item]) -> None:
    """Store the items of a page that is not JSON itself, values untouched, for the raw views."""
    listed = b",".join(
        b'{"external_id":%s,"payload":%s}' % (json.dumps(item.external_id).encode(), item.payload)
        for item in items
    )
    # jsonb cannot hold U+0000; the page's body keeps it.
    held = b"[%s]" % listed.replace(b"\\u0000", b"\\ufffd")
    session.execute(_SET_ITEMS, {"id": raw_page_id, "items": held.decode()})


class StoredAnswers(NamedTuple):
    """What is left of a run's answers.

    Attributes:
        raw_page_ids: In the run's order.
        missing: Pages whose answer retention has taken.
    """

    raw_page_ids: list[int]
    items: int
    missing: int


def of_run(session: Session, run_id: UUID) -> StoredAnswers:
    """Return which answers of a run are still stored."""
    rows = session.execute(
        select(RunPage.raw_page_id, RunPage.items)
        .where(RunPage.run_id == run_id, RunPage.fetched_at.is_not(None))
        .order_by(RunPage.page)
    ).all()
    ids = [raw_page_id for raw_page_id, _ in rows if raw_page_id is not None]
    return StoredAnswers(ids, sum(items for _, items in rows), len(rows) - len(ids))
