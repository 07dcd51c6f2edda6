"""``/news``: feed entries linked to assets."""

from typing import Any

from flask import Response
from flask.views import MethodView

from service import pagination, rest
from service.queries import news
from service.schemas.news import NewsPage, NewsQuery

blueprint = rest.Blueprint("news", __name__, description="Feed entries linked to assets.")
_FILTERS = ("ticker", "source", "feed", "start_date", "end_date")


@blueprint.route("/news")
class NewsList(MethodView):
    """News."""

    @blueprint.requires("read")
    @blueprint.conditional("news", "data")
    @blueprint.arguments(NewsQuery, location="query")
    @blueprint.response(200, NewsPage)
    @blueprint.exports
    def get(self, query: dict[str, Any]) -> Response:
        """List news, newest first."""
        filters = pagination.chosen(query, _FILTERS)
        return rest.answer_list(news.listing(filters), query, filters, stem="news")
