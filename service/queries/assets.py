"""One asset: its row, what each source observes, and why the published price is what it is."""

from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Select, case, func, literal, select

from service.queries import links, market
from tasks.core.errors import NotFoundError
from tasks.store.tables import Asset, AssetLink, QuoteRow


def one(connection: Connection, wire_id: str) -> dict[str, Any]:
    """Return an asset's row; its id on the wire, its lasting ``TICKER~slug`` and any case will do.

    So will the ``TICKER~slug`` that it, or an asset that was joined to it, had at an earlier time.

    Raises:
        NotFoundError: If there is none.
    """
    columns = market.assets({}, None).columns
    rows: Select[Any] = select(*(column.label(name) for name, column in columns.items()))
    best_first = case((Asset.wire_id == wire_id, 0), (Asset.slug_id == wire_id, 1), else_=2)
    goes_by = Asset.wire_id.in_((wire_id, wire_id.upper())) | (Asset.slug_id == wire_id)
    # No two items make the same slug, so one that an item once gave still leads to its asset.
    named = select(AssetLink.asset_id).where(AssetLink.slug_id == wire_id).scalar_subquery()
    ways = (
        rows.where(goes_by).order_by(best_first).limit(1),
        rows.where(Asset.asset_id == named),
    )
    known = () if "\x00" in wire_id else ways
    found = (connection.execute(way).one_or_none() for way in known)
    row = next(filter(None, found), None)
    if row is None:
        raise NotFoundError(f"There is no asset {wire_id!r}.")
    return dict(row._mapping)  # noqa: SLF001 - the public name of a row's mapping


def observations(connection: Connection, asset_id: int) -> list[dict[str, Any]]:
    """Return what each source observes of an asset, and how it came to be linked."""
    used = func.count().filter(QuoteRow.use == "used").over()
    statement = (
        select(
            QuoteRow.source,
            QuoteRow.external_id.label("coin_id"),
            QuoteRow.symbol,
            QuoteRow.name,
            QuoteRow.rank,
            QuoteRow.price_usd,
            QuoteRow.market_cap_usd,
            QuoteRow.volume_24h_usd,
            QuoteRow.percent_change_24h,
            QuoteRow.observed_at,
            func.extract("epoch", func.clock_timestamp() - QuoteRow.observed_at).label(
                "age_seconds"
            ),
            QuoteRow.use,
            QuoteRow.use_reason,
            case(
                (QuoteRow.use == "used", func.round(literal(Decimal(1)) / used, 4)), else_=0
            ).label("weight"),
            QuoteRow.run_id,
            QuoteRow.ingested_at,
            QuoteRow.updated_at,
            AssetLink.method.label("link_method"),
            AssetLink.confidence.label("link_confidence"),
            AssetLink.evidence.label("link_evidence"),
            AssetLink.decided_by.label("link_decided_by"),
            links.status().label("link_status"),
        )
        .outerjoin(
            AssetLink,
            (AssetLink.source == QuoteRow.source) & (AssetLink.external_id == QuoteRow.external_id),
        )
        .where(QuoteRow.asset_id == asset_id)
        .order_by(QuoteRow.source, QuoteRow.external_id)
    )
    return [dict(row._mapping) for row in connection.execute(statement)]  # noqa: SLF001
