"""``/data/{id}``: one asset, its history, and why its price is what it is."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from flask import Response, request
from flask.views import MethodView

from service import formats, pagination, rest
from service.pagination import PageRequest
from service.queries import assets, history
from service.queries.listing import Listing
from service.schemas.assets import AssetDetail, Explanation, History, HistoryQuery
from tasks.core.errors import InvalidInputError

blueprint = rest.Blueprint("assets", __name__, description="One asset.")
_LINK = "link_"
_FILTERS: tuple[str, ...] = ("start", "end", "source")
_RAW_GAP_PERIODS = 2


@blueprint.route("/data/<path:asset_id>")
class OneAsset(MethodView):
    """One asset."""

    @blueprint.requires("read")
    @blueprint.conditional("data")
    @blueprint.response(200, AssetDetail)
    def get(self, asset_id: str) -> dict[str, Any]:
        """Show an asset with each source's observation beside the consensus."""
        row, found = _observed(asset_id)
        return {**row, "observations": found, **rest.about_request()}


@blueprint.route("/data/<path:asset_id>/explain")
class Explained(MethodView):
    """Why a price is what it is."""

    @blueprint.requires("read")
    @blueprint.conditional("data")
    @blueprint.response(200, Explanation)
    def get(self, asset_id: str) -> dict[str, Any]:
        """Show every input of a price: its age, whether it was used, and why it is this asset's."""
        row, found = _observed(asset_id)
        used = [item["source"] for item in found if item["use"] == "used"]
        passed_over = [f"{i['source']} is {i['use']}" for i in found if i["use"] != "used"]
        summary = f"From {len(used)} of {len(found)} observations"
        return {
            **row,
            "summary": "; ".join([f"{summary}: {', '.join(used) or 'none'}", *passed_over]) + ".",
            "inputs": [_input(item) for item in found],
            **rest.about_request(),
        }


def _observed(asset_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return an asset and what each source observes of it."""
    with rest.reading() as connection:
        row = assets.one(connection, asset_id)
        return row, assets.observations(connection, row["asset_id"])


def _input(item: dict[str, Any]) -> dict[str, Any]:
    link = {k.removeprefix(_LINK): v for k, v in item.items() if k.startswith(_LINK)}
    return {**item, "status": item["use"], "rule": item["use_reason"], "link": link}


@blueprint.route("/data/<path:asset_id>/history")
class PriceHistory(MethodView):
    """An asset's prices over time."""

    @blueprint.requires("read")
    @blueprint.conditional("data")
    @blueprint.arguments(HistoryQuery, location="query")
    @blueprint.response(200, History)
    @blueprint.exports
    def get(self, query: dict[str, Any], asset_id: str) -> Response:
        """List prices, oldest first: observations, or open, high, low and close by interval.

        Of intervals the newest `limit` that have a price are given. A gap is a span without a
        price between two of them, or more than twice the schedule's period without a new
        observation; `start` and `end` count as points. Figures that did not change are confirmed
        and not observed anew.
        """
        with rest.reading() as connection:
            row = assets.one(connection, asset_id)
        filters = pagination.chosen(query, _FILTERS)
        about = {"id": row["id"], "interval": query["interval"]}
        form = formats.wanted(request)
        listing = history.points(row["asset_id"], filters)
        if query["interval"] != "raw":
            return _candles(row["asset_id"], query, filters, about)
        if form != "json":
            return rest.export_list(form, listing, query, "history")
        return _points(listing, query["paging"], filters, about)


class _Point(msgspec.Struct):
    observed_at: datetime
    source: str
    coin_id: str
    price_usd: Decimal | None
    market_cap_usd: Decimal | None
    volume_24h_usd: Decimal | None
    backfilled: bool


def _fields(point: _Point) -> dict[str, Any]:
    return msgspec.structs.asdict(point)


def _points(
    listing: Listing, paging: PageRequest, filters: dict[str, Any], about: dict[str, Any]
) -> Response:
    bound_to = pagination.fingerprint(f"history {about['id']}", filters)
    page, facts = rest.read_page(listing, paging, bound_to)
    points = [msgspec.json.decode(body, type=_Point) for body in page.bodies]
    moments = [point.observed_at for point in points]
    if paging.cursor:  # the gap to the last point of the page before belongs to this one
        position = pagination.decode_cursor(paging.cursor, bound_to)
        moments.insert(0, datetime.fromisoformat(position.key or ""))
    elif not paging.offset and "start" in filters:
        moments.insert(0, filters["start"])
    if page.last is None and "end" in filters:
        moments.append(filters["end"])
    gaps = history.gaps(moments, _longest(filters.get("source")))
    return _answer(about, [_fields(point) for point in points], gaps, facts)


def _longest(source: str | None) -> timedelta:
    """Return twice the period of a source's schedule, or the longest of all."""
    dependencies = rest.dependencies()
    now, sources = dependencies.clock.now(), dependencies.settings.sources
    asked = [sources[source]] if source in sources else list(sources.values())
    periods = [each.schedule.following(now) - each.schedule.previous(now) for each in asked]
    return _RAW_GAP_PERIODS * max(periods)


def _candles(
    asset_id: int, query: dict[str, Any], filters: dict[str, Any], about: dict[str, Any]
) -> Response:
    paging, interval = query["paging"], query["interval"]
    if paging.cursor or paging.offset:
        raise InvalidInputError("Intervals are cut by start and end.", field="cursor")
    with rest.reading() as connection:
        found = history.candles(connection, asset_id, filters, interval, limit=paging.limit)
    form = formats.wanted(request)
    if form != "json":
        return _candles_as_file(form, found)
    facts = pagination.facts(paging, returned=len(found), total=len(found), next_cursor=None)
    width = history.INTERVALS[interval]
    starts = [candle["start"] for candle in found]
    if "start" in filters and len(found) < paging.limit:
        starts.insert(0, filters["start"] - width)
    if "end" in filters:
        starts.append(filters["end"])
    return _answer(about, found, history.gaps(starts, width, covers=width), facts)


def _candles_as_file(form: str, found: list[dict[str, Any]]) -> Response:
    kinds = {
        "start": "time",
        **dict.fromkeys(("open", "high", "low", "close", "volume_24h_usd"), "decimal"),
        "points": "integer",
        "backfilled": "boolean",
    }
    rows = [tuple(candle.values()) for candle in found]
    return rest.send_export(form, kinds, lambda _connection: iter(rows), "history")


def _answer(
    about: dict[str, Any], points: list[Any], gaps: list[Any], facts: dict[str, Any]
) -> Response:
    request = rest.about_request()
    members = {**about, "data": points, "gaps": gaps, **facts, **request}
    body = History().dump(members | {"pagination": facts, "meta": request})
    response = rest.send(body)
    rest.link_next(response, facts["next_cursor"])
    return response
