"""Records between transform and load: written by COPY, read by one statement, then removed."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from tasks.domain.records import NewsEntry, Quote, Record
from tasks.store.session import copy
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


def stage(session: Session, kind: str, run_id: UUID, page: int, staged: Iterable[Staged]) -> int:
    """Put a page's records in staging, in place of what an earlier attempt left there.

    Args:
        session: Of the transform's transaction.
        kind: ``quotes``, ``news`` or ``history``.
        run_id: The run.
        page: The page.
        staged: Records without control characters; see :mod:`tasks.domain.quality`.

    Returns:
        How many records were staged.
    """
    table = _TABLES[kind]
    session.execute(delete(table).where(table.run_id == run_id, table.page == page))
    buffer = io.StringIO()
    prefix = (str(run_id), page)
    csv.writer(buffer).writerows(
        (*prefix, entry.item, f"\\x{entry.digest.hex()}", *entry.record) for entry in staged
    )
    buffer.seek(0)
    columns = ", ".join(("run_id", "page", "item", "digest", *_FIELDS[kind]))
    statement = f"copy {table.__tablename__} ({columns}) from stdin with (format csv)"
    return copy(session, statement, buffer)


def clear(session: Session, kind: str, run_id: UUID, pages: Sequence[int]) -> None:
    """Remove loaded pages from staging."""
    table = _TABLES[kind]
    session.execute(delete(table).where(table.run_id == run_id, table.page.in_(pages)))


def discard(session: Session, run_id: UUID) -> None:
    """Remove what a run left in staging, but for rows that a worker is about to remove.

    Whoever ends a run holds its row; waiting here for a load, which will wait for that row, would
    be a deadlock. The load is too late and rolls back, and retention takes what then is left.
    """
    for statement in _DISCARD:
        session.execute(statement, {"run_id": run_id})
