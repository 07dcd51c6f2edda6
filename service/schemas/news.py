"""News on the wire."""

from marshmallow import fields

from service.schemas.base import Answer, Moment, SourceName, Word
from service.schemas.paging import Page, Paged, format_field


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


class NewsPage(Page):
    """A page of news, newest first."""

    data = fields.List(fields.Nested(NewsRow))


class NewsQuery(Paged):
    """Which news are wanted."""

    ticker = Word(
        metadata={"description": "Linked to an asset with this ticker.", "example": "BTC"}
    )
    source = SourceName()
    feed = Word(max_length=300)
    start_date = Moment(metadata={"description": "Published at this time or later."})
    end_date = Moment(
        end_of_day=True, metadata={"description": "Published at this time or before."}
    )
    format = format_field()
