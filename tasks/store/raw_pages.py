"""Answers of sources, verbatim."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from struct import pack
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tasks.domain.pages import Page
from tasks.domain.records import Item
from tasks.store import database
from tasks.store.tables import RawPage, RunPage

_SET_ITEMS = text("update raw_pages set items = cast(:items as jsonb) where raw_page_id = :id")

# Binary, because a body in a statement's text is twice as long and has to be read twice: measured
# 25 and 16 microseconds of PostgreSQL for each coin of a page.
_COPY = """
    copy raw_pages (run_id, page, source, request, status, media_type, headers, body, body_sha256,
      unchanged_count, ingested_at) from stdin with (format binary)
"""
_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL = pack("!h", -1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_JSONB_VERSION = b"\x01"


class _Rows:
    """Rows for ``COPY``, made as the server takes them, so that one page at a time is in memory."""

    def __init__(self, rows: Iterator[bytes]) -> None:
        self._rows = rows

    def read(self, _size: int) -> bytes:
        return next(self._rows, b"")


def add(session: Session, run_id: UUID, source: str, pages: Iterable[tuple[int, Page]]) -> None:
    """Store the answers of a run under their page numbers."""
    moment = database.now(session)
    with closing(session.connection().connection.cursor()) as cursor:
        cursor.copy_expert(_COPY, _Rows(_encoded(run_id, source, pages, moment)))


def _encoded(
    run_id: UUID, source: str, pages: Iterable[tuple[int, Page]], moment: datetime
) -> Iterator[bytes]:
    yield _HEAD
    for number, page in pages:
        fields = (
            run_id.bytes,
            pack("!i", number),
            source.encode(),
            page.request.encode(),
            pack("!h", page.status),
            page.media_type.encode(),
            _JSONB_VERSION + msgspec.json.encode(dict(page.headers)),
            page.body,
            hashlib.sha256(page.body).digest(),
            pack("!i", page.unchanged_count),
            pack("!q", ((page.fetched_at or moment) - _EPOCH) // timedelta(microseconds=1)),
        )
        yield pack("!h", len(fields))
        for field in fields:
            yield pack("!i", len(field)) + field
    yield _TAIL


def get_all(session: Session, raw_page_ids: Iterable[int | None]) -> dict[int, Page]:
    """Return stored answers by their ids; see :func:`get`."""
    rows = session.scalars(select(RawPage).where(RawPage.raw_page_id.in_(raw_page_ids)))
    return {row.raw_page_id: _page(row) for row in rows}


def get(session: Session, raw_page_id: int | None) -> Page:
    """Return a stored answer as the connector gave it; only its checkpoint is not kept here."""
    return _page(session.get_one(RawPage, raw_page_id))


def _page(row: RawPage) -> Page:
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
