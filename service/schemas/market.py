"""The market table on the wire."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from service.schemas.base import Answer, Exact, Moment, SourceName, Word
from service.schemas.paging import Page, Paged, format_field

SORTS = (
    "rank",
    "market_cap_usd",
    "price_usd",
    "volume_24h_usd",
    "percent_change_24h",
    "ticker",
    "updated_at",
)


def _usd(description: str, **kwargs: Any) -> Exact:
    return Exact(allow_none=True, metadata={"description": f"{description}, in USD.", **kwargs})


class MarketRow(Answer):
    """One asset: the consensus, or one source's own observation."""

    id = fields.String(
        metadata={
            "description": "The bare ticker for its owner, `TICKER~slug` for every other asset.",
            "example": "BTC",
        }
    )
    asset_id = fields.Integer(allow_none=True, metadata={"description": "Number of the asset."})
    coin_id = fields.String(
        allow_none=True,
        metadata={"description": "The providing source's own id.", "example": "bitcoin"},
    )
    ticker = fields.String(allow_none=True, metadata={"example": "BTC"})
    symbol = fields.String(allow_none=True, metadata={"example": "BTC"})
    name = fields.String(allow_none=True, metadata={"example": "Bitcoin"})
    rank = fields.Integer(allow_none=True, metadata={"description": "By market value, from 1."})
    price_usd = _usd("Price", example=64210.5)
    market_cap_usd = _usd("Market value")
    volume_24h_usd = _usd("Volume of 24 hours")
    percent_change_24h = Exact(
        allow_none=True, metadata={"description": "Percent, not a fraction.", "example": -1.25}
    )
    price_change_24h_percent = Exact(
        allow_none=True, metadata={"description": "Another name of `percent_change_24h`."}
    )
    source = fields.String(
        allow_none=True,
        metadata={"description": "Provided the published price.", "example": "coingecko"},
    )
    sources = fields.List(fields.String(), metadata={"description": "All that observe the asset."})
    sources_used = fields.List(fields.String(), metadata={"description": "Those the price is of."})
    price_spread_pct = Exact(
        allow_none=True, metadata={"description": "Widest disagreement of the used prices, in %."}
    )
    confidence = Exact(allow_none=True, metadata={"description": "0 to 1."})
    observed_at = Moment(
        allow_none=True, metadata={"description": "The source's own time of the price."}
    )
    created_at = Moment(allow_none=True)
    ingested_at = Moment(allow_none=True)
    updated_at = Moment(allow_none=True)


class MarketPage(Page):
    """A page of the market table."""

    data = fields.List(fields.Nested(MarketRow))


class MarketQuery(Paged):
    """Which part of the market table is wanted, and how."""

    ticker = Word(metadata={"description": "The one asset that owns the ticker.", "example": "BTC"})
    symbol = Word(
        metadata={"description": "Every asset with the symbol, the ticker's owner first."}
    )
    name = Word(metadata={"description": "Assets whose name contains this, in any case."})
    source = SourceName(
        metadata={"description": "This source's own latest observations; `rss` for news."}
    )
    min_price = Exact(metadata={"description": "In USD."})
    max_price = Exact(metadata={"description": "In USD."})
    start_date = Moment(metadata={"description": "Updated at this time or later."})
    end_date = Moment(
        end_of_day=True,
        metadata={"description": "Updated at this time or before; a date counts whole."},
    )
    sort = fields.String(
        metadata={
            "description": "A column; `-` before it for descending. Nulls come last both ways.",
            "enum": [sign + name for name in SORTS for sign in ("", "-")],
        }
    )
    fields_ = fields.String(
        data_key="fields",
        metadata={"description": "Names of members, with commas.", "example": "id,price_usd"},
    )
    as_of = Moment(
        metadata={"description": "The table as it stood at this time, the same whenever asked."}
    )
    format = format_field()

    @validates_schema
    def _kept_ones(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if "as_of" in data and "source" in data:
            raise ValidationError("Only the published table is kept; leave source out.", "as_of")

    @validates_schema
    def _known_columns(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if data.get("sort", "rank").removeprefix("-") not in SORTS:
            raise ValidationError(f"Must be one of {', '.join(SORTS)}.", "sort")
        unknown = [name for name in split(data.get("fields_")) if name not in MarketRow().fields]
        if unknown or ("fields_" in data and not split(data["fields_"])):
            raise ValidationError(f"Unknown: {', '.join(unknown) or 'nothing named'}.", "fields")

    @validates_schema
    def _ordered_ranges(self, data: dict[str, Any], **_kwargs: Any) -> None:
        for low, high in (("min_price", "max_price"), ("start_date", "end_date")):
            if low in data and high in data and data[low] > data[high]:
                raise ValidationError(f"{low} is above {high}.", low)


def split(names: str | None) -> list[str]:
    """Return the names of a comma-separated list, in order, empty ones left out."""
    return [name.strip() for name in (names or "").split(",") if name.strip()]
