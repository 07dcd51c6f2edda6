"""Records between transform and load: written by COPY, read by one statement, then removed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from tasks.domain.records import NewsEntry, Quote, Record
from tasks.store import copying
from tasks.store.tables import StagedNews, StagedQuote

Kind = Literal["quotes", "news", "history"]
_FIELDS = {"quotes": Quote._fields, "news": NewsEntry._fields, "history": Quote._fields}
_TABLES: dict[str, type[StagedQuote | StagedNews]] = {
    "quotes": StagedQuote,
    "news": StagedNews,
    "history": StagedQuote,
}
_DISCARD = [
    text(
        f"""
        delete from {table.__tablename__} where ctid = any(array(
          select ctid from {table.__tablename__} where run_id = :run_id for update skip locked))
        """  # noqa: S608 - put together from constants
    )
    for table in (StagedQuote, StagedNews)
]


class Staged(NamedTuple):
    """A record on its way: ``item`` is its place in the page, ``digest`` of the item's bytes."""

    item: int
    digest: bytes
    record: Record


def stage(
    session: Session, kind: str, run_id: UUID, staged: Mapping[int, Iterable[Staged]]
) -> None:
    """Put the records of pages in staging, in place of what an earlier attempt left there.

    Args:
        session: Of the transform's transaction.
        kind: ``quotes``, ``news`` or ``history``.
        run_id: The run.
        staged: By page number, records without control characters; see :mod:`tasks.domain.quality`.
    """
    table = _TABLES[kind]
    clear(session, kind, run_id, list(staged))
    run = str(run_id)
    rows = (
        (run, page, item, copying.binary(digest), *record)
        for page, entries in staged.items()
        for item, digest, record in entries
    )
    columns = ("run_id", "page", "item", "digest", *_FIELDS[kind])
    copying.copy(session, table.__tablename__, columns, rows)


def clear(session: Session, kind: str, run_id: UUID, pages: Sequence[int]) -> None:
    """Remove pages from staging."""
    table = _TABLES[kind]
    session.execute(delete(table).where(table.run_id == run_id, table.page.in_(pages)))


def discard(session: Session, run_id: UUID) -> None:
    """Remove what a run left in staging, but for rows that a worker is about to remove.

    Whoever ends a run holds its row; waiting here for a load, which will wait for that row, would
    be a deadlock. The load is too late and rolls back, and retention takes what then is left.
    """
    for statement in _DISCARD:
        session.execute(statement, {"run_id": run_id})
