"""An asset's prices over time: the points, or open, high, low and close of each interval."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, cast, func, literal, select, text
from sqlalchemy.dialects.postgresql import INTERVAL, aggregate_order_by

from service.queries.columns import Columns
from service.queries.listing import Listing
from service.queries.ordering import Order
from tasks.store.tables import QuoteHistory

INTERVALS = {
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
MOST_POINTS = 100_000
"""Observations that one answer in intervals is made of at most: a year of five minutes."""
_EPOCH = text("timestamptz 'epoch'")
_ROW_ID = QuoteHistory.source + literal("/") + QuoteHistory.external_id


def points(asset_id: int, filters: dict[str, Any]) -> Listing:
    """Return the observations of an asset, oldest first.

    Args:
        asset_id: The asset.
        filters: ``start``, ``end``, ``source``; others are ignored.
    """
    columns: Columns = {
        "observed_at": QuoteHistory.observed_at,
        "source": QuoteHistory.source,
        "coin_id": QuoteHistory.external_id,
        "price_usd": QuoteHistory.price_usd,
        "market_cap_usd": QuoteHistory.market_cap_usd,
        "volume_24h_usd": QuoteHistory.volume_24h_usd,
        "backfilled": QuoteHistory.backfilled,
    }
    order = Order(
        key=QuoteHistory.observed_at,
        row_id=_ROW_ID,
        nullable=False,
    )
    where = _where(asset_id, filters)
    return Listing(columns=columns, source=QuoteHistory.__table__, order=order, where=where)


def candles(
    connection: Connection, asset_id: int, filters: dict[str, Any], interval: str, *, limit: int
) -> list[dict[str, Any]]:
    """Return the newest ``limit`` intervals that have a price, oldest first.

    ``volume_24h_usd`` is the last one reported in the interval: sources report a rolling day. At
    most :data:`MOST_POINTS` observations are read, the newest; an interval that they may not fill
    is left out.
    """
    point = _newest(asset_id, filters)
    width = cast(literal(INTERVALS[interval]), INTERVAL)
    start = func.date_bin(width, point.observed_at, _EPOCH).label("start")
    statement = (
        select(
            start,
            _first(point.price_usd, point.observed_at, point.row_id).label("open"),
            func.max(point.price_usd).label("high"),
            func.min(point.price_usd).label("low"),
            _first(point.price_usd, point.observed_at.desc(), point.row_id.desc()).label("close"),
            _first(
                point.volume_24h_usd,
                case((point.volume_24h_usd.is_(None), 1), else_=0),
                point.observed_at.desc(),
                point.row_id.desc(),
            ).label("volume_24h_usd"),
            func.count().label("points"),
            func.bool_or(point.backfilled).label("backfilled"),
            func.sum(func.count()).over().label("read"),
        )
        .group_by(start)
        .order_by(start.desc())
        .limit(limit + 1)
    )
    rows = [dict(row._mapping) for row in connection.execute(statement)]  # noqa: SLF001
    may_be_cut = bool(rows) and rows[0]["read"] >= MOST_POINTS
    if may_be_cut and len(rows) <= limit:
        rows.pop()
    return [_without(row, "read") for row in rows[:limit]][::-1]


def _newest(asset_id: int, filters: dict[str, Any]) -> Any:
    """Return the columns of the newest priced observations, so many as may be read."""
    return (
        select(
            QuoteHistory.observed_at,
            _ROW_ID.label("row_id"),
            QuoteHistory.price_usd,
            QuoteHistory.volume_24h_usd,
            QuoteHistory.backfilled,
        )
        .where(*_where(asset_id, filters), QuoteHistory.price_usd.is_not(None))
        .order_by(QuoteHistory.observed_at.desc())
        .limit(MOST_POINTS)
        .subquery("point")
        .c
    )


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


def gaps(
    moments: Sequence[datetime], longest: timedelta, *, covers: timedelta = timedelta()
) -> list[dict[str, datetime]]:
    """Return the spans between neighbouring moments that are longer than ``longest``.

    Args:
        moments: Ascending.
        longest: No gap yet.
        covers: For how long after its moment a point stands: the width of an interval.
    """
    return [
        {"start": before + covers, "end": after}
        for before, after in pairwise(moments)
        if after - before > longest
    ]


def _first(column: Any, *order: Any) -> ColumnElement[Any]:
    return func.array_agg(aggregate_order_by(column, *order))[1]


def _where(asset_id: int, filters: dict[str, Any]) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = [QuoteHistory.asset_id == asset_id]
    if "source" in filters:
        where.append(QuoteHistory.source == filters["source"])
    if "start" in filters:
        where.append(QuoteHistory.observed_at >= filters["start"])
    if "end" in filters:
        where.append(QuoteHistory.observed_at <= filters["end"])
    else:  # nothing is dated so late; it spares the months that are made ahead
        where.append(QuoteHistory.observed_at < func.now() + timedelta(days=1))
    return where
