"""Records between transform and load: written by COPY, read by one statement, then removed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from tasks.domain.identity import Labels
from tasks.domain.records import NewsEntry, Quote, Record
from tasks.store import arrays, copying
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


_NO_LABELS = (None,) * len(Labels._fields)


class Staged(NamedTuple):
    """A record on its way.

    Attributes:
        item: Its place in the page.
        digest: Of the item's bytes.
        labels: Of a quote's item, if it may be one that nobody has seen before: worked out before
            the load, because loads wait for each other.
    """

    item: int
    digest: bytes
    record: Record
    labels: Labels | None = None


class StagedPage(NamedTuple):
    """The records of a page.

    Attributes:
        ingested_at: When the page came in; None if nobody knows.
    """

    entries: Iterable[Staged]
    ingested_at: datetime | None = None


def stage(session: Session, kind: str, run_id: UUID, staged: Mapping[int, StagedPage]) -> None:
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
    columns = ("run_id", "page", "item", "digest", *_FIELDS[kind])
    if table is StagedQuote:
        columns = (*columns, *Labels._fields, "ingested_at")
    rows = (
        (run, number, entry.item, copying.binary(entry.digest), *entry.record, *further)
        for number, page in staged.items()
        for entry, further in _further(page, table)
    )
    copying.copy(session, table.__tablename__, columns, rows)


def _further(page: StagedPage, table: type) -> Iterator[tuple[Staged, Sequence[Any]]]:
    """Yield the entries of a page, each with what is staged beside its record."""
    if table is not StagedQuote:
        yield from ((entry, ()) for entry in page.entries)
        return
    unlabelled = (*_NO_LABELS, page.ingested_at)
    for entry in page.entries:
        if entry.labels is None:
            yield entry, unlabelled
        else:
            *names, keys = entry.labels
            yield entry, (*names, arrays.texts(keys), page.ingested_at)


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
