"""An asset's prices over time: the points, or open, high, low and close of each interval."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Connection, cast, func, literal, select, text
from sqlalchemy.dialects.postgresql import INTERVAL, aggregate_order_by

from service.queries.listing import Columns, Listing, Order
from tasks.store.tables import QuoteHistory

INTERVALS = {
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
_EPOCH = text("timestamptz 'epoch'")


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
        row_id=QuoteHistory.source + literal("/") + QuoteHistory.external_id,
        nullable=False,
    )
    where = _where(asset_id, filters)
    return Listing(columns=columns, source=QuoteHistory.__table__, order=order, where=where)


def candles(
    connection: Connection, asset_id: int, filters: dict[str, Any], interval: str, *, limit: int
) -> list[dict[str, Any]]:
    """Return the newest ``limit`` intervals that have a price, oldest first.

    ``volume_24h_usd`` is the last one reported in the interval: sources report a rolling day.
    """
    width = cast(literal(INTERVALS[interval]), INTERVAL)
    start = func.date_bin(width, QuoteHistory.observed_at, _EPOCH).label("start")
    price, at = QuoteHistory.price_usd, QuoteHistory.observed_at
    statement = (
        select(
            start,
            _first(price, at).label("open"),
            func.max(price).label("high"),
            func.min(price).label("low"),
            _first(price, at.desc()).label("close"),
            _first(QuoteHistory.volume_24h_usd, at.desc()).label("volume_24h_usd"),
            func.count().label("points"),
            func.bool_or(QuoteHistory.backfilled).label("backfilled"),
        )
        .where(*_where(asset_id, filters), price.is_not(None))
        .group_by(start)
        .order_by(start.desc())
        .limit(limit)
    )
    rows = [dict(row._mapping) for row in connection.execute(statement)]  # noqa: SLF001
    return rows[::-1]


def gaps(moments: Sequence[datetime], longest: timedelta) -> list[dict[str, datetime]]:
    """Return the spans between neighbouring moments that are longer than ``longest``."""
    return [
        {"start": before, "end": after}
        for before, after in pairwise(moments)
        if after - before > longest
    ]


def _first(column: Any, order: Any) -> ColumnElement[Any]:
    return func.array_agg(aggregate_order_by(column, order))[1]


def _where(asset_id: int, filters: dict[str, Any]) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = [QuoteHistory.asset_id == asset_id]
    if "source" in filters:
        where.append(QuoteHistory.source == filters["source"])
    if "start" in filters:
        where.append(QuoteHistory.observed_at >= filters["start"])
    if "end" in filters:
        where.append(QuoteHistory.observed_at <= filters["end"])
    return where
