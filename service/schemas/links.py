"""What asset an item is, on the wire."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from service.schemas.base import Answer, Arguments, Exact, Moment, SourceName, Word
from service.schemas.paging import Page, Paged

MAX_ID_LENGTH = 500
_TARGETS = ("id", "asset_id", "new_asset")


class UnresolvedQuery(Paged):
    """Which unresolved items are wanted."""

    source = SourceName(metadata={"example": "coinpaprika"})


class _Item(Answer):
    source = fields.String(metadata={"example": "coinpaprika"})
    external_id = fields.String(
        metadata={"description": "The source's own id.", "example": "jup-jupiter"}
    )
    symbol = fields.String()
    name = fields.String()
    price_usd = Exact(allow_none=True)
    asset_id = fields.Integer()
    id = fields.String(metadata={"description": "The asset's id.", "example": "JUP~jupiter"})


class Candidate(_Item):
    """A likely twin of an unresolved item, and the asset it is now."""

    score = fields.Integer(metadata={"description": "The evidence; 60 is enough for a link."})
    agrees = fields.List(fields.String(), metadata={"description": "What agrees, best first."})
    price_ratio = Exact(
        allow_none=True, metadata={"description": "The higher price in terms of the lower."}
    )


class UnresolvedRow(_Item):
    """An item with likely twins that it could not be linked to with confidence."""

    rank = fields.Integer(allow_none=True, metadata={"description": "When it was first seen."})
    method = fields.String(metadata={"description": "How it came to the asset it is now."})
    confidence = Exact()
    decided_at = Moment()
    candidates = fields.List(fields.Nested(Candidate))


class UnresolvedPage(Page):
    """A page of unresolved items, the best ranked first."""

    data = fields.List(fields.Nested(UnresolvedRow))


class LinkBody(Arguments):
    """Which item is which asset: one of `id`, `asset_id` and `new_asset`."""

    source = Word(required=True, metadata={"example": "coinpaprika"})
    external_id = Word(required=True, max_length=MAX_ID_LENGTH, metadata={"example": "jup-jupiter"})
    id = Word(
        max_length=MAX_ID_LENGTH,
        metadata={"description": "The asset by its id, as in `/data`.", "example": "JUP"},
    )
    asset_id = fields.Integer(
        strict=True,
        validate=validate.Range(min=1, max=2**63 - 1),
        metadata={"description": "The asset by its number, as in `/data`."},
    )
    new_asset = fields.Boolean(
        validate=validate.OneOf((True,)),
        metadata={"description": "The item is an asset of its own."},
    )
    reason = Word(max_length=500, metadata={"description": "For the audit log."})

    @validates_schema
    def _one_target(self, data: dict[str, Any], **_kwargs: Any) -> None:
        given = [name for name in _TARGETS if name in data]
        if len(given) != 1:
            sentence = "Say which asset it is: by one of id, asset_id and new_asset."
            raise ValidationError({name: [sentence] for name in given or _TARGETS})


class LinkAnswer(Answer):
    """An item's link as it stands."""

    source = fields.String()
    external_id = fields.String()
    asset_id = fields.Integer()
    id = fields.String(metadata={"description": "The asset's id."})
    method = fields.String(metadata={"example": "operator"})
    confidence = Exact()
    status = fields.String(validate=validate.OneOf(("linked", "unresolved")))
    decided_by = fields.String()
    decided_at = Moment()
    request_id = fields.String()
