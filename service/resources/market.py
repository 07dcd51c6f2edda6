"""``/data``: the unified market table."""

from datetime import datetime, timedelta
from typing import Any

from flask import Response
from flask.views import MethodView

from service import pagination, rest
from service.queries import market, versions
from service.queries.listing import Listing
from service.schemas.market import MarketPage, MarketQuery, split
from tasks.core.errors import InvalidInputError
from tasks.store import publication

blueprint = rest.Blueprint("market", __name__, description="One price per asset.")
_FILTERS = (
    "ticker",
    "symbol",
    "name",
    "source",
    "min_price",
    "max_price",
    "start_date",
    "end_date",
    "as_of",
)


@blueprint.route("/data")
class Market(MethodView):
    """The market table."""

    @blueprint.requires("read")
    @blueprint.conditional("data", "news")
    @blueprint.arguments(MarketQuery, location="query")
    @blueprint.response(200, MarketPage)
    @blueprint.exports
    def get(self, query: dict[str, Any]) -> Response:
        """List one row for each asset.

        Without `source` a row carries the consensus of all sources; with it, that source's own
        latest observation. Walk long lists by `cursor`, not by `page`: rows that change meanwhile
        are then neither missed nor given twice. With `as_of` the table is as it stood then, and
        asking again later gives the same.
        """
        filters = pagination.chosen(query, _FILTERS)
        listing = _listing(filters, query.get("sort"))
        if "fields_" in query:
            listing = listing.only(split(query["fields_"]))
        return rest.answer_list(listing, query, filters, stem="market")


def _listing(filters: dict[str, Any], sort: str | None) -> Listing:
    source = filters.get("source")
    if "as_of" in filters:
        return _as_of(filters["as_of"], filters, sort)
    if source is None:
        return market.assets(filters, sort)
    if source not in rest.dependencies().settings.sources:
        known = ", ".join(rest.dependencies().settings.sources)
        raise InvalidInputError(
            f"There is no source {source!r}; there are {known}.", field="source"
        )
    if source == "rss":
        return market.news_as_rows(filters)
    return market.observations(source, filters, sort)


def _as_of(moment: datetime, filters: dict[str, Any], sort: str | None) -> Listing:
    """Return the table as it stood at a moment that has passed."""
    kept = timedelta(days=rest.dependencies().settings.retention_history_days)
    with rest.reading() as connection:
        now = versions.now(connection)
        if moment >= now:
            raise InvalidInputError("Lies in the future.", field="as_of")
        if moment < now - kept:
            raise InvalidInputError(
                f"The table is kept for {kept.days} days (RETENTION_HISTORY_DAYS).", field="as_of"
            )
        publication.settle(connection, moment)
        baseline = publication.baseline(connection, moment)
    return market.assets_as_of(moment, baseline or moment, filters, sort)
