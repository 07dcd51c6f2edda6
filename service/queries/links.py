"""Which asset an item is, where the evidence does not say."""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, column, exists, func, select
from sqlalchemy.dialects.postgresql import JSON, JSONB, aggregate_order_by
from sqlalchemy.orm import aliased

from service.queries.columns import Columns
from service.queries.listing import Listing
from service.queries.ordering import Order
from tasks.store.tables import Asset, AssetLink, QuoteRow

_LISTED = (
    func.jsonb_array_elements(AssetLink.evidence["candidates"])
    .table_valued(column("twin", JSONB), with_ordinality="place")
    .render_derived(name="listed")
)
_twin = aliased(AssetLink, name="twin_link")
_twin_asset = aliased(Asset, name="twin_asset")
_twin_quote = aliased(QuoteRow, name="twin_quote")


def unresolved(filters: dict[str, Any]) -> Listing:
    """Return the items with likely twins that they are not linked to, the best ranked first.

    The rank is that of the day an item was first seen, so that the order does not move.

    Args:
        filters: ``source``.
    """
    columns: Columns = {
        "source": AssetLink.source,
        "external_id": AssetLink.external_id,
        "symbol": func.coalesce(QuoteRow.symbol, AssetLink.symbol),
        "name": func.coalesce(QuoteRow.name, AssetLink.name),
        "rank": AssetLink.rank,
        "price_usd": QuoteRow.price_usd,
        "asset_id": AssetLink.asset_id,
        "id": Asset.wire_id,
        "method": AssetLink.method,
        "confidence": AssetLink.confidence,
        "decided_at": AssetLink.decided_at,
        "candidates": _candidates(),
    }
    row_id = AssetLink.source + "/" + AssetLink.external_id
    source = AssetLink.__table__.join(Asset, Asset.asset_id == AssetLink.asset_id).outerjoin(
        QuoteRow, _is_of(QuoteRow, AssetLink)
    )
    where = [AssetLink.source == filters["source"]] if "source" in filters else []
    return Listing(
        columns=columns,
        source=source,
        order=Order(key=AssetLink.rank, row_id=row_id),
        scope=[_is_unresolved()],
        where=where,
    )


def status() -> ColumnElement[str | None]:
    """Return ``unresolved`` for a link with a likely twin that could still be joined to it."""
    return case((_is_unresolved(), "unresolved"), (AssetLink.status.is_not(None), "linked"))


def _is_unresolved() -> ColumnElement[bool]:
    return and_(AssetLink.status == "unresolved", exists(_open(select(1))))


def _open(chosen: Select[Any]) -> Select[Any]:
    """Choose from the candidates of a link that are still free, as the resolver means it.

    An asset holds one item of a source. What was written down when the item was weighed may have
    found its twin elsewhere since.
    """
    return (
        chosen.select_from(_LISTED)
        .join(
            _twin,
            and_(
                _twin.source == _LISTED.c.twin["source"].astext,
                _twin.external_id == _LISTED.c.twin["external_id"].astext,
            ),
        )
        .where(~_holds(_twin.asset_id, AssetLink.source), ~_holds(AssetLink.asset_id, _twin.source))
        .correlate(AssetLink)
    )


def _holds(asset_id: Any, source: Any) -> ColumnElement[bool]:
    held = aliased(AssetLink)
    return (
        exists().where(held.asset_id == asset_id, held.source == source).correlate(AssetLink, _twin)
    )


def _candidates() -> Any:
    """Return a link's free candidates as JSON, the likeliest first."""
    evidence = _LISTED.c.twin
    facts: dict[str, Any] = {
        "source": _twin.source,
        "external_id": _twin.external_id,
        "symbol": func.coalesce(_twin_quote.symbol, _twin.symbol),
        "name": func.coalesce(_twin_quote.name, _twin.name),
        "price_usd": _twin_quote.price_usd,
        "asset_id": _twin.asset_id,
        "id": _twin_asset.wire_id,
        "score": evidence["score"],
        "agrees": evidence["agrees"],
        "price_ratio": evidence["price_ratio"],
    }
    members = [part for name, value in facts.items() for part in (name, value)]
    one = func.json_build_object(*members)
    listed = select(func.json_agg(aggregate_order_by(one, _LISTED.c.place), type_=JSON))
    return (
        _open(listed)
        .join(_twin_asset, _twin_asset.asset_id == _twin.asset_id)
        .outerjoin(_twin_quote, _is_of(_twin_quote, _twin))
        .scalar_subquery()
    )


def _is_of(quote: Any, link: Any) -> ColumnElement[bool]:
    return and_(quote.source == link.source, quote.external_id == link.external_id)
