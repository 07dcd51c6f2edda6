"""What was published when: the rows behind ``as_of``, only ever added.

An answer as of a moment must be the same for ever. So no row may appear later with a time that has
passed: a row's time is taken when its transaction holds a lock that it keeps until it commits, and
whoever asks about a moment waits until that lock is free (:func:`settle`). All that was published
up to then is visible afterwards, and all that comes later gets a later time.

Each baseline writes every asset. What was published as of a moment is therefore found between the
last baseline before it and the moment itself, however old the rest of the history is.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.orm import Session

from tasks.store import arrays

BASELINE_FACTOR = 4
"""A baseline is due when so many rows for each asset of the last one have been added since."""
BASELINE_ROWS = 1_000
"""But not before so many."""
LOCK_KEY = 7_202_612
"""Any constant of ours: publications wait for each other, and those who ask for them."""

_LOCK = text("select pg_advisory_xact_lock(:key)")
# A clock that was set back must not put a row before its predecessor.
_NOW = text(
    """
    select greatest(clock_timestamp(),
      (select h.valid_from from asset_history h where h.valid_from >= b.valid_from
        order by h.valid_from desc limit 1) + interval '1 microsecond'),
      b.valid_from is null or b.appended > greatest(:factor * b.assets, :rows)
    from (select 1) one left join lateral (
      select * from asset_baselines order by valid_from desc limit 1) b on true
    """
)
_COLUMNS = """wire_id, ticker, name, coin_id, rank, price_usd, market_cap_usd, volume_24h_usd,
  percent_change_24h, source, sources, sources_used, price_spread_pct, confidence, observed_at,
  created_at, ingested_at, updated_at"""
_APPEND = text(
    f"""
    insert into asset_history (valid_from, asset_id, {_COLUMNS})
    select :valid_from, asset_id, {_COLUMNS}
    from assets join unnest(cast(:ids as bigint[])) i (asset_id) using (asset_id)
    """  # noqa: S608 - put together from constants
)
_APPEND_ALL = text(
    f"""
    insert into asset_history (valid_from, asset_id, {_COLUMNS})
    select :valid_from, asset_id, {_COLUMNS} from assets
    """  # noqa: S608 - put together from constants
)
_CLOSE = text(
    """
    insert into asset_history (valid_from, asset_id, is_closed)
    select :valid_from, asset_id, true from unnest(cast(:ids as bigint[])) c (asset_id)
    where not exists (select from assets a where a.asset_id = c.asset_id)
    """
)
_COUNT = text(
    """
    update asset_baselines set appended = appended + :count
    where valid_from = (select max(valid_from) from asset_baselines)
    """
)
_BASELINE = text("insert into asset_baselines (valid_from, assets) values (:valid_from, :count)")
# Longer than the hard limit of a task and all that the database allows beside it.
_LONGEST = "5 minutes"
_SETTLE = text(
    """
    select pg_advisory_xact_lock_shared(:key)
    where cast(:moment as timestamptz) > clock_timestamp() - cast(:within as interval)
    """
)
_ANCHOR = text("select max(valid_from) from asset_baselines where valid_from <= :moment")


def append(session: Session, asset_ids: Collection[int], *, closed: Collection[int] = ()) -> None:
    """Write down what is published of these assets from now on.

    Other publications wait from here until the transaction ends, so let little follow.

    Args:
        session: Of the transaction that published them.
        asset_ids: The assets that were decided anew, as
            :func:`tasks.store.consensus.refresh` returns them.
        closed: The assets that were removed.
    """
    if not asset_ids and not closed:
        return
    session.execute(_LOCK, {"key": LOCK_KEY})
    figures = {"factor": BASELINE_FACTOR, "rows": BASELINE_ROWS}
    valid_from, is_baseline_due = session.execute(_NOW, figures).one()
    if is_baseline_due:
        count = _rows(session, _APPEND_ALL, valid_from, ())
        session.execute(_BASELINE, {"valid_from": valid_from, "count": count})
        return
    count = _rows(session, _APPEND, valid_from, asset_ids)
    count += _rows(session, _CLOSE, valid_from, closed) if closed else 0
    session.execute(_COUNT, {"count": count})


def _rows(
    session: Session, statement: TextClause, valid_from: datetime, ids: Collection[int]
) -> int:
    parameters = {"valid_from": valid_from, "ids": arrays.numbers(ids)}
    return session.connection().execute(statement, parameters).rowcount


def settle(connection: Connection, moment: datetime) -> None:
    """Wait until all that was published before a moment is visible.

    Args:
        connection: One that commits each statement, so that the lock is free again at once.
        moment: In the past; one that is older than any transaction can get costs nothing.
    """
    connection.execute(_SETTLE, {"key": LOCK_KEY, "moment": moment, "within": _LONGEST})


def baseline(connection: Connection, moment: datetime) -> datetime | None:
    """Return the time of the last baseline before a moment; None if nothing was published yet."""
    found: datetime | None = connection.scalar(_ANCHOR, {"moment": moment})
    return found
