"""One asset on the wire."""

from typing import Any, ClassVar

from marshmallow import ValidationError, fields, validate, validates_schema

from service.schemas.base import Answer, Exact, Moment, SourceName
from service.schemas.market import MarketRow
from service.schemas.paging import Page, Paged, format_field

INTERVALS = ("raw", "5m", "1h", "1d")


class Observation(Answer):
    """What one source observes of an asset."""

    source = fields.String()
    coin_id = fields.String()
    symbol = fields.String()
    name = fields.String()
    rank = fields.Integer(allow_none=True)
    price_usd = Exact(allow_none=True)
    market_cap_usd = Exact(allow_none=True)
    volume_24h_usd = Exact(allow_none=True)
    percent_change_24h = Exact(allow_none=True)
    observed_at = Moment()
    age_seconds = Exact(metadata={"description": "Since the source's own time."})
    use = fields.String(
        metadata={"description": "`used`, `stale`, `outlier`, `held` or `unpriced`."}
    )
    use_reason = fields.String(allow_none=True)
    run_id = fields.UUID(allow_none=True)
    ingested_at = Moment()
    updated_at = Moment()


class AssetDetail(MarketRow):
    """An asset with each source's observation beside the consensus."""

    observations = fields.List(fields.Nested(Observation))
    request_id = fields.String()
    api_latency_ms = fields.Float()


class Link(Answer):
    """Why an observation is of this asset."""

    method = fields.String(allow_none=True)
    confidence = Exact(allow_none=True)
    evidence = fields.Dict(allow_none=True)
    decided_by = fields.String(allow_none=True)
    status = fields.String(allow_none=True)


class Input(Observation):
    """One input of a published price."""

    status = fields.String(metadata={"description": "Another name of `use`."})
    rule = fields.String(
        allow_none=True, metadata={"description": "Why it has this status; as `use_reason`."}
    )
    weight = Exact(
        metadata={"description": "Its share of the vote on the price: equal for all that are used."}
    )
    link = fields.Nested(Link)


class Explanation(Answer):
    """Why the published price is what it is."""

    id = fields.String()
    ticker = fields.String()
    name = fields.String()
    price_usd = Exact(allow_none=True)
    source = fields.String(allow_none=True)
    sources_used = fields.List(fields.String())
    price_spread_pct = Exact(allow_none=True)
    confidence = Exact(allow_none=True)
    summary = fields.String(metadata={"description": "The same in a sentence."})
    inputs = fields.List(fields.Nested(Input))
    request_id = fields.String()
    api_latency_ms = fields.Float()


class HistoryQuery(Paged):
    """Which part of an asset's history is wanted."""

    DEFAULT_LIMIT: ClassVar[int] = 500
    MAX_LIMIT: ClassVar[int] = 5000
    DEFAULT_PAGE_SIZE: ClassVar[int] = 500
    MAX_PAGE_SIZE: ClassVar[int] = 5000

    start = Moment()
    end = Moment(end_of_day=True)
    interval = fields.String(validate=validate.OneOf(INTERVALS), load_default="raw")
    source = SourceName()
    format = format_field()

    @validates_schema
    def _in_order(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if "start" in data and "end" in data and data["start"] > data["end"]:
            raise ValidationError("start is after end.", "start")


class Point(Answer):
    """One observation (`raw`), or one interval."""

    observed_at = Moment(metadata={"description": "Raw only."})
    source = fields.String(metadata={"description": "Raw only."})
    coin_id = fields.String(metadata={"description": "Raw only."})
    price_usd = Exact(allow_none=True, metadata={"description": "Raw only."})
    market_cap_usd = Exact(allow_none=True, metadata={"description": "Raw only."})
    start = Moment(metadata={"description": "Intervals only."})
    open = Exact(allow_none=True)
    high = Exact(allow_none=True)
    low = Exact(allow_none=True)
    close = Exact(allow_none=True)
    volume_24h_usd = Exact(allow_none=True)
    points = fields.Integer(metadata={"description": "Observations in the interval."})
    backfilled = fields.Boolean()


class Gap(Answer):
    """A span without data."""

    start = Moment()
    end = Moment()


class History(Page):
    """An asset's prices over time, oldest first."""

    id = fields.String()
    interval = fields.String()
    data = fields.List(fields.Nested(Point))
    gaps = fields.List(fields.Nested(Gap))

    class Meta(Page.Meta):
        """What is asked for comes first."""

        fields: ClassVar[tuple[str, ...]] = (
            "id",
            "interval",
            "data",
            "gaps",
            *Page.Meta.fields[1:],
        )
