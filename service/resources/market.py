"""``/data``: the unified market table."""

from typing import Any

from flask import Response
from flask.views import MethodView

from service import rest
from service.queries import market
from service.queries.listing import Listing
from service.schemas.market import MarketPage, MarketQuery, split
from tasks.core.errors import InvalidInputError

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
        are then neither missed nor given twice.
        """
        filters = {name: query[name] for name in _FILTERS if name in query}
        listing = _listing(filters, query.get("sort"))
        if "fields_" in query:
            listing = listing.only(split(query["fields_"]))
        return rest.answer_list(listing, query, filters, stem="market")


def _listing(filters: dict[str, Any], sort: str | None) -> Listing:
    source = filters.get("source")
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
