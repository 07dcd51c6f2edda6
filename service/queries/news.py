"""News entries with the assets they speak of."""

from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, cast, exists, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from service.queries.columns import Columns
from service.queries.listing import Listing
from service.queries.ordering import Order
from tasks.store.tables import Asset, News, NewsAsset


def listing(filters: dict[str, Any]) -> Listing:
    """Return news, newest first.

    Args:
        filters: ``ticker``, ``source``, ``feed``, ``start_date``, ``end_date``; others are ignored.
    """
    mentioned = (
        select(
            func.array_agg(aggregate_order_by(Asset.wire_id, NewsAsset.score.desc(), Asset.wire_id))
        )
        .join(NewsAsset, NewsAsset.asset_id == Asset.asset_id)
        .where(NewsAsset.news_id == News.news_id)
        .correlate(News)
        .scalar_subquery()
    )
    columns: Columns = {
        "id": News.news_id,
        "source": News.source,
        "feed": News.feed,
        "guid": News.external_id,
        "title": News.title,
        "url": News.url,
        "summary": News.summary,
        "author": News.author,
        "assets": func.coalesce(mentioned, cast([], ARRAY(Text)), type_=ARRAY(Text)),
        "published_at": News.published_at,
        "created_at": News.created_at,
        "updated_at": News.updated_at,
    }
    order = Order(key=News.published_at, row_id=News.news_id, descending=True)
    return Listing(columns=columns, source=News.__table__, order=order, where=list(_where(filters)))


def _where(filters: dict[str, Any]) -> list[ColumnElement[bool]]:
    where = [getattr(News, name) == filters[name] for name in ("source", "feed") if name in filters]
    if "start_date" in filters:
        where.append(News.published_at >= filters["start_date"])
    if "end_date" in filters:
        where.append(News.published_at <= filters["end_date"])
    if "ticker" in filters:
        of_ticker = Asset.ticker == filters["ticker"].upper()
        where.append(
            exists().where(
                NewsAsset.news_id == News.news_id, NewsAsset.asset_id == Asset.asset_id, of_ticker
            )
        )
    return where
