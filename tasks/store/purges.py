"""Remove what is too old to keep, a bounded piece at a time.

Each function does one step and returns how many rows it removed; fewer than ``limit`` means that
there is no more. Nothing an active run works on is touched, and no counter hangs on these rows.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

Step = Callable[..., int]

_RAW_PAGES = text(
    """
    delete from raw_pages where raw_page_id in (
      select r.raw_page_id from raw_pages r
      where r.ingested_at < :before and not exists (
        select from run_pages p join etl_runs u on u.run_id = p.run_id
        where p.raw_page_id = r.raw_page_id and u.status in ('queued', 'running'))
        and not exists (select from raw_pages n where n.same_as = r.raw_page_id)
      order by r.ingested_at limit :limit)
    """
)
_RUN_PAGES = text(
    """
    delete from run_pages where (run_id, page) in (
      select p.run_id, p.page from etl_runs u join run_pages p on p.run_id = u.run_id
      where u.finished_at < :before limit :limit)
    """
)
_EVENTS = text(
    """
    delete from run_events where event_id in (
      select e.event_id from etl_runs u join run_events e on e.run_id = u.run_id
      where u.finished_at < :before limit :limit)
    """
)
_KEYS = text(
    """
    delete from idempotency_keys where (actor, key) in (
      select actor, key from idempotency_keys where created_at < :before limit :limit)
    """
)
_HISTORY = text(
    """
    delete from quote_history_default where ctid = any(array(
      select ctid from quote_history_default where observed_at < :before limit :limit))
    """
)
_STAGED = """
    delete from {table} where ctid = any(array(
      select s.ctid from {table} s join etl_runs u on u.run_id = s.run_id
      where u.finished_at < :before limit :limit))
"""
_STAGED_QUOTES = text(_STAGED.format(table="staged_quotes"))
_STAGED_NEWS = text(_STAGED.format(table="staged_news"))
_EXPIRED = text(
    """
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = to_regclass(:table) and c.relname ~ '_[0-9]{6}$'
      and to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month'
        <= cast(:before as timestamptz) at time zone 'UTC'
    order by c.relname limit 1
    """
)
# What was published as of a moment is sought from the last baseline before it on.
_ANCHOR = text("select max(valid_from) from asset_baselines where valid_from <= :before")
_BASELINES = text("delete from asset_baselines where valid_from < :before")


def _delete(session: Session, statement: TextClause, before: datetime, limit: int) -> int:
    result = session.connection().execute(statement, {"before": before, "limit": limit})
    return result.rowcount


def raw_pages(session: Session, before: datetime, limit: int) -> int:
    """Remove answers that came in before then; their runs forget where they were."""
    return _delete(session, _RAW_PAGES, before, limit)


def run_pages(session: Session, before: datetime, limit: int) -> int:
    """Remove the pages of runs that ended before then; the runs keep their figures."""
    return _delete(session, _RUN_PAGES, before, limit)


def events(session: Session, before: datetime, limit: int) -> int:
    """Remove the events of runs that ended before then."""
    return _delete(session, _EVENTS, before, limit)


def idempotency_keys(session: Session, before: datetime, limit: int) -> int:
    """Remove answered keys; a request repeated later than that starts anew."""
    return _delete(session, _KEYS, before, limit)


def staged(session: Session, before: datetime, limit: int) -> int:
    """Remove what a worker that came too late has left in staging."""
    return _delete(session, _STAGED_QUOTES, before, limit) + _delete(
        session, _STAGED_NEWS, before, limit
    )


def history_rows(session: Session, before: datetime, limit: int) -> int:
    """Remove observations that lie in no month's partition."""
    return _delete(session, _HISTORY, before, limit)


def history_partition(session: Session, before: datetime, limit: int) -> int:
    """Drop the oldest partition of observations that holds nothing younger than ``before``.

    Returns:
        ``limit`` if a partition was dropped, so that the next one is looked for; else 0.
    """
    return _drop_partition(session, "quote_history", before, limit)


def asset_history_partition(session: Session, before: datetime, limit: int) -> int:
    """Drop the oldest partition that nothing published since ``before`` needs.

    Returns:
        As :func:`history_partition`.
    """
    anchor = session.scalar(_ANCHOR, {"before": before})
    if anchor is None:
        return 0
    session.execute(_BASELINES, {"before": anchor})
    return _drop_partition(session, "asset_history", anchor, limit)


def _drop_partition(session: Session, table: str, before: datetime, limit: int) -> int:
    """Drop one; that takes the lock readers hold, so it waits a moment only, and tries again."""
    name = session.scalar(_EXPIRED, {"table": table, "before": before})
    if name is None:
        return 0
    session.execute(text("set local lock_timeout = '2s'"))
    session.execute(text(f"drop table {name}"))
    return limit
