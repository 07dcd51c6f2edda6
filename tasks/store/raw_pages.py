"""Answers of sources, verbatim."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from struct import pack
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.orm import Session, defer

from tasks.core.errors import UnavailableError
from tasks.domain.pages import Page
from tasks.domain.records import Item
from tasks.store import arrays, copying, database
from tasks.store.tables import RawPage, RunPage

_SET_ITEMS = text("update raw_pages set items = cast(:items as jsonb) where raw_page_id = :id")

# Binary, because a body in a statement's text is twice as long and has to be read twice: measured
# 25 and 16 microseconds of PostgreSQL for each coin of a page.
_COPY = """
    copy raw_pages (run_id, page, source, request, status, media_type, headers, body, same_as,
      body_sha256, unchanged_count, ingested_at) from stdin with (format binary)
"""
_TAIL = pack("!h", -1)
_NULL = pack("!i", -1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_JSONB_VERSION = b"\x01"
_OF_NOTHING = sha256(b"").digest()

_BODIES = """
    select p.raw_page_id, coalesce(p.body, held.body)
    from raw_pages p left join raw_pages held on held.raw_page_id = p.same_as
    where p.raw_page_id = any('{ids}'::bigint[])
"""
# The pages of the run that moved the checkpoint say what is known, unless another one has loaded
# something since. They are held, so that retention takes none before it is referred to.
_KNOWN = text(
    """
    select r.request, r.body_sha256, coalesce(r.same_as, r.raw_page_id), p.items
    from etl_checkpoints c
    join etl_runs last on last.run_id = c.run_id
    join run_pages p on p.run_id = c.run_id
    join raw_pages r on r.raw_page_id = p.raw_page_id
    where c.source = :source and p.state = 'loaded' and p.rejected = 0 and not exists (
      select from etl_runs u join run_pages l on l.run_id = u.run_id
      where u.source = c.source and u.queued_at > last.queued_at and u.run_id <> :run_id
        and u.trigger <> 'backfill' and l.state = 'loaded')
    for key share of r
    """
)


class Earlier(NamedTuple):
    """A stored page all of whose items are loaded as they are.

    Attributes:
        items: How many it holds.
    """

    raw_page_id: int
    items: int


class _Stored(NamedTuple):
    number: int
    page: Page
    digest: bytes
    earlier: Earlier | None


Known = Mapping[tuple[str, bytes], Earlier]
"""Stored pages by what was asked and the SHA-256 of what came."""


def known(session: Session, source: str, run_id: UUID) -> Known:
    """Return the pages of which ``run_id`` need not load a thing if they come again."""
    rows = session.execute(_KNOWN, {"source": source, "run_id": run_id})
    return {
        (request, bytes(digest)): Earlier(raw_page_id, items)
        for request, digest, raw_page_id, items in rows
    }


def digested(page: Page, known: Known) -> Page:
    """Take a page's digest; of one that is known the body is let go, which is not stored again."""
    digest = sha256(page.body).digest()
    is_known = (page.request, digest) in known
    return replace(page, digest=digest, body=b"" if is_known else page.body)


def add(
    session: Session,
    run_id: UUID,
    source: str,
    pages: Iterable[tuple[int, Page]],
    known: Known,
) -> dict[int, Earlier]:
    """Store the answers of a run under their page numbers.

    Returns:
        Of the pages that came as they are known, the earlier ones; they are referred to.

    Raises:
        UnavailableError: If the body of a page was let go that is not known any more.
    """
    repeated: dict[int, Earlier] = {}

    def rows() -> Iterator[bytes]:
        yield copying.BINARY_HEAD
        for number, page in pages:
            digest = page.digest or sha256(page.body).digest()
            earlier = known.get((page.request, digest))
            if earlier is not None:
                repeated[number] = earlier
            elif not page.body and digest != _OF_NOTHING:
                raise UnavailableError(
                    f"While {source} was read, what is known of it has changed; it is asked again."
                )
            yield _row(run_id, source, _Stored(number, page, digest, earlier), moment)
        yield _TAIL

    moment = database.now(session)
    copying.send(session, _COPY, copying.Stream(rows()))
    return repeated


def _row(run_id: UUID, source: str, stored: _Stored, moment: datetime) -> bytes:
    number, page, digest, earlier = stored
    fields = (
        run_id.bytes,
        pack("!i", number),
        source.encode(),
        page.request.encode(),
        pack("!h", page.status),
        page.media_type.encode(),
        _JSONB_VERSION + msgspec.json.encode(dict(page.headers)),
        page.body if earlier is None else None,
        None if earlier is None else pack("!q", earlier.raw_page_id),
        digest,
        pack("!i", page.unchanged_count),
        pack("!q", ((page.fetched_at or moment) - _EPOCH) // timedelta(microseconds=1)),
    )
    sized = (_NULL if field is None else pack("!i", len(field)) + field for field in fields)
    return pack("!h", len(fields)) + b"".join(sized)


def repeated(session: Session, raw_page_ids: Iterable[int | None]) -> dict[int, int]:
    """Return which of these answers came as they were known, and how many items were left out."""
    rows = session.execute(
        select(RawPage.raw_page_id, RawPage.unchanged_count).where(
            RawPage.raw_page_id.in_(raw_page_ids), RawPage.same_as.is_not(None)
        )
    )
    return {row.raw_page_id: row.unchanged_count for row in rows}


def get_all(session: Session, raw_page_ids: Iterable[int | None]) -> dict[int, Page]:
    """Return stored answers by their ids, each as the connector gave it but for its checkpoint."""
    ids = [raw_page_id for raw_page_id in raw_page_ids if raw_page_id is not None]
    bodies = copying.receive(session, _BODIES.format(ids=arrays.numbers(ids)))
    by_id = {int.from_bytes(raw_page_id): body for raw_page_id, body in bodies}
    rows = session.scalars(
        select(RawPage)
        .options(defer(RawPage.items), defer(RawPage.body))
        .where(RawPage.raw_page_id.in_(ids))
    )
    return {row.raw_page_id: _page(row, by_id[row.raw_page_id]) for row in rows}


def get(session: Session, raw_page_id: int) -> Page:
    """Return one stored answer; see :func:`get_all`."""
    return get_all(session, [raw_page_id])[raw_page_id]


def _page(row: RawPage, body: bytes) -> Page:
    return Page(
        request=row.request,
        body=body,
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
