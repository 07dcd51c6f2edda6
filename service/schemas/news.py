"""News on the wire."""

from typing import Any

from marshmallow import fields, pre_load

from service.schemas.base import Answer, Envelope, Moment, Word
from service.schemas.paging import Paged, Pagination, RequestMeta, format_field


class NewsRow(Answer):
    """One feed entry, as plain text."""

    id = fields.Integer()
    source = fields.String()
    feed = fields.String()
    guid = fields.String()
    title = fields.String()
    url = fields.String(allow_none=True)
    summary = fields.String(allow_none=True)
    author = fields.String(allow_none=True)
    assets = fields.List(
        fields.String(), metadata={"description": "Ids of the assets it speaks of, surest first."}
    )
    published_at = Moment(allow_none=True)
    created_at = Moment()
    updated_at = Moment()


class NewsPage(Envelope):
    """A page of news, newest first."""

    data = fields.List(fields.Nested(NewsRow))
    total = fields.Integer(allow_none=True)
    page = fields.Integer()
    page_size = fields.Integer()
    pagination = fields.Nested(Pagination)
    meta = fields.Nested(RequestMeta)


class NewsQuery(Paged):
    """Which news are wanted."""

    ticker = Word(
        metadata={"description": "Linked to an asset with this ticker.", "example": "BTC"}
    )
    source = Word()
    feed = Word(max_length=300)
    start_date = Moment(metadata={"description": "Published at this time or later."})
    end_date = Moment(
        end_of_day=True, metadata={"description": "Published at this time or before."}
    )
    format = format_field()

    @pre_load
    def _old_names(self, data: Any, **_kwargs: Any) -> Any:
        if data.get("source") == "rss_feed":
            return {**data, "source": "rss"}
        return data
