"""The market table: the published assets, or one source's own observations in the same shape."""

from dataclasses import replace
from datetime import datetime
from functools import cache
from operator import ge, le
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Numeric,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import aliased

from service.queries.columns import Columns
from service.queries.listing import Listing
from service.queries.ordering import Blocks, Order
from tasks.store.tables import RANK_BLOCK, Asset, AssetHistory, News, QuoteRow


def assets(filters: dict[str, Any], sort: str | None) -> Listing:
    """Return the list of assets with their consensus values.

    Args:
        filters: ``ticker``, ``symbol``, ``name``, ``min_price``, ``max_price``, ``start_date``,
            ``end_date``; others are ignored.
        sort: A column, ``-`` before it for descending; None for rank, for a symbol its owner first.
    """
    return _published(Asset, Asset.__table__, filters, sort)


def assets_as_of(
    moment: datetime, baseline: datetime, filters: dict[str, Any], sort: str | None
) -> Listing:
    """Return the list of assets as it stood at a moment; the same for ever.

    Args:
        moment: A time that has settled; see :func:`tasks.store.publication.settle`.
        baseline: The last one before it.
        filters: As :func:`assets`.
        sort: As :func:`assets`.
    """
    row = AssetHistory
    between = (row.valid_from >= baseline, row.valid_from <= moment)
    newest = (
        select(row.asset_id, func.max(row.valid_from).label("valid_from"))
        .where(*between)
        .group_by(row.asset_id)
        .subquery()
    )
    stood = (
        select(*(column for column in row.__table__.columns))
        .join(
            newest, and_(row.asset_id == newest.c.asset_id, row.valid_from == newest.c.valid_from)
        )
        .where(*between, ~row.is_closed)
        .subquery("stood")
    )
    listing = _published(stood.c, stood, filters, sort)
    return replace(listing, order=replace(listing.order, moving=False), counts_exactly=True)


def _published(of: Any, source: FromClause, filters: dict[str, Any], sort: str | None) -> Listing:
    """Return the list of published assets; ``of`` has the columns that ``source`` selects from."""
    values = {name: getattr(of, name) for name in _VALUES}
    columns = _row(of, values, of.coin_id, of.ticker, of.name)
    columns |= {name: getattr(of, name) for name in _PROVENANCE}
    return Listing(
        columns=columns,
        source=source,
        order=_order(of, values | {"updated_at": of.updated_at}, sort, filters),
        where=_identity(of, filters) + _ranges(filters, of.price_usd, of.updated_at),
    )


def observations(source: str, filters: dict[str, Any], sort: str | None) -> Listing:
    """Return one source's latest observation of each asset, in the shape of :func:`assets`."""
    newer = aliased(QuoteRow)
    is_latest = ~exists().where(
        newer.asset_id == QuoteRow.asset_id,
        newer.source == QuoteRow.source,
        tuple_(newer.observed_at, newer.external_id)
        > tuple_(QuoteRow.observed_at, QuoteRow.external_id),
    )
    keys = {name: getattr(QuoteRow, name) for name in (*_VALUES, "updated_at")}
    where = _identity(Asset, filters) + _ranges(filters, QuoteRow.price_usd, QuoteRow.updated_at)
    columns, joined = _observed()
    return Listing(
        columns=columns,
        source=joined,
        order=_order(Asset, keys, sort, filters),
        scope=[QuoteRow.source == source, is_latest],
        where=where,
    )


_NO_TEXTS = cast(array([]), ARRAY(Text))
_VALUES = ("rank", "price_usd", "market_cap_usd", "volume_24h_usd", "percent_change_24h")
_PROVENANCE = (
    "source",
    "sources",
    "sources_used",
    "price_spread_pct",
    "confidence",
    "observed_at",
    "created_at",
    "ingested_at",
    "updated_at",
)


def _row(of: Any, values: dict[str, Any], coin_id: Any, symbol: Any, name: Any) -> Columns:
    return {
        "id": of.wire_id,
        "asset_id": of.asset_id,
        "coin_id": coin_id,
        "ticker": of.ticker,
        "symbol": symbol,
        "name": name,
        **values,
        "price_change_24h_percent": values["percent_change_24h"],
    }


@cache
def _observed() -> tuple[Columns, FromClause]:
    """Return what is shown of an observation, and of which tables; the same for all requests."""
    own = array([QuoteRow.source])
    values = {name: getattr(QuoteRow, name) for name in _VALUES}
    columns = _row(Asset, values, QuoteRow.external_id, QuoteRow.symbol, QuoteRow.name) | {
        "source": QuoteRow.source,
        "sources": own,
        "sources_used": case((QuoteRow.use == "used", own), else_=_NO_TEXTS),
        "price_spread_pct": cast(null(), Numeric),
        "confidence": cast(null(), Numeric),
        "observed_at": QuoteRow.observed_at,
        "created_at": QuoteRow.created_at,
        "ingested_at": QuoteRow.ingested_at,
        "updated_at": QuoteRow.updated_at,
    }
    return columns, QuoteRow.__table__.join(Asset.__table__, Asset.asset_id == QuoteRow.asset_id)


def _identity(of: Any, filters: dict[str, Any]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if "ticker" in filters:
        ticker = filters["ticker"].upper()
        found.append(and_(of.ticker == ticker, of.wire_id == of.ticker))
    if "symbol" in filters:
        found.append(of.ticker == filters["symbol"].upper())
    if "name" in filters:
        found.append(of.name.icontains(filters["name"], autoescape=True))
    return found


def _ranges(filters: dict[str, Any], price: Any, updated_at: Any) -> list[ColumnElement[bool]]:
    bounds = (
        ("min_price", price, ge),
        ("max_price", price, le),
        ("start_date", updated_at, ge),
        ("end_date", updated_at, le),
    )
    return [holds(column, filters[name]) for name, column, holds in bounds if name in filters]


def _order(of: Any, keys: dict[str, Any], sort: str | None, filters: dict[str, Any]) -> Order:
    name = (sort or "rank").removeprefix("-")
    key: Any = of.ticker if name == "ticker" else keys[name]
    if sort is None and "symbol" in filters:  # ranks begin at 1, so 0 puts the owner first
        key = case((of.wire_id == of.ticker, 0), else_=key)
    return Order(
        key=key,
        row_id=of.asset_id,
        descending=(sort or "").startswith("-"),
        nullable=name not in {"ticker", "updated_at"},
        moving=name != "ticker",
        blocks=_blocks(key),
    )


def _blocks(key: Any) -> Blocks | None:
    for row in (Asset, QuoteRow):
        if key is row.rank:
            return Blocks(column=row.rank_block, size=RANK_BLOCK)
    return None


def news_as_rows(filters: dict[str, Any]) -> Listing:
    """Return news entries, newest first, in the shape of the market table with null prices."""
    nothing: dict[str, Any] = {
        "rank": cast(null(), Integer),
        **{name: cast(null(), Numeric) for name in _VALUES[1:]},
    }
    columns: Columns = {
        "id": func.concat("news~", News.news_id),
        "asset_id": cast(null(), BigInteger),
        "coin_id": News.external_id,
        "ticker": cast(null(), Text),
        "symbol": cast(null(), Text),
        "name": News.title,
        **nothing,
        "price_change_24h_percent": cast(null(), Numeric),
        "source": News.source,
        "sources": array([News.source]),
        "sources_used": _NO_TEXTS,
        "price_spread_pct": cast(null(), Numeric),
        "confidence": cast(null(), Numeric),
        "observed_at": News.published_at,
        "created_at": News.created_at,
        "ingested_at": News.created_at,
        "updated_at": News.updated_at,
        "url": News.url,
        "summary": News.summary,
    }
    where = [News.title.icontains(filters["name"], autoescape=True)] if "name" in filters else []
    if filters.keys() & {"min_price", "max_price", "ticker", "symbol"}:
        where.append(literal(value=False))
    where += _ranges(
        {k: v for k, v in filters.items() if k.endswith("_date")}, None, News.updated_at
    )
    order = Order(key=News.published_at, row_id=News.news_id, descending=True)
    return Listing(columns=columns, source=News.__table__, order=order, where=where)
