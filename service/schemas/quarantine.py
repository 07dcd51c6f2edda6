"""The quarantine on the wire."""

from typing import Any, ClassVar

from marshmallow import ValidationError, fields, validate, validates_schema

from service.schemas.base import Answer, Arguments, Moment, SourceName, Word
from service.schemas.paging import Page, Paged
from tasks.pipeline.quarantine import MAX_AT_ONCE

_MAX_ID = 2**63 - 1


class RejectionItem(Answer):
    """An item in quarantine."""

    rejection_id = fields.Integer()
    source = fields.String()
    run_id = fields.UUID(allow_none=True)
    page = fields.Integer()
    item = fields.Integer()
    external_id = fields.String(allow_none=True)
    field = fields.String(metadata={"description": "The vendor's field at fault; `*` for all."})
    rule = fields.String()
    reason = fields.String()
    payload = fields.String(metadata={"description": "The item as the vendor sent it."})
    state = fields.String()
    occurrences = fields.Integer()
    created_at = Moment()
    updated_at = Moment()


class QuarantinePage(Page):
    """A page of the quarantine, newest first."""

    data = fields.List(fields.Nested(RejectionItem))


class QuarantineQuery(Paged):
    """Which rejections are wanted."""

    MAX_LIMIT: ClassVar[int] = 200

    source = SourceName()
    run_id = fields.UUID()
    rule = Word()
    field = Word()
    state = fields.String(validate=validate.OneOf(("open", "replayed", "discarded")))


class QuarantineSelection(Arguments):
    """Which open rejections are meant; all that is given must hold, and something must be."""

    ids = fields.List(
        fields.Integer(strict=True, validate=validate.Range(1, _MAX_ID)),
        validate=validate.Length(1, MAX_AT_ONCE),
        metadata={"description": "`rejection_id`s.", "example": [1, 2]},
    )
    source = SourceName(metadata={"example": "coingecko"})
    run_id = fields.UUID()
    rule = Word(metadata={"example": "range"})
    field = Word(metadata={"example": "price_usd"})

    @validates_schema
    def _some_selection(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if not data:
            names = ", ".join(self.fields)
            raise ValidationError(f"Say which rejections are meant, by some of {names}.", "ids")


class _QuarantineDecision(Answer):
    status = fields.String()
    remaining = fields.Integer(
        metadata={"description": f"Still open of those meant; {MAX_AT_ONCE} are done at once."}
    )
    request_id = fields.String()


class QuarantineOutcome(Answer):
    """What became of one source's rejections."""

    source = fields.String()
    status = fields.String(
        metadata={
            "description": "`replayed`; `refused` if the rules let nothing through; `conflict` if "
            "a run of the source is active, or the source is not enabled."
        }
    )
    run_id = fields.String(
        allow_none=True,
        metadata={
            "description": "The run that loaded them; with `conflict` the active one.",
            "format": "uuid",
        },
    )
    loaded = fields.Integer(metadata={"description": "Items that are the latest of their kind."})
    superseded = fields.Integer(
        metadata={"description": "Items that change nothing, for something newer is known."}
    )
    rejected = fields.Integer(metadata={"description": "Items that the rules still refuse."})
    reason = fields.String(metadata={"description": "With `conflict`: what stood in the way."})


class QuarantineReplayed(_QuarantineDecision):
    """What a replay did."""

    loaded = fields.Integer()
    superseded = fields.Integer()
    rejected = fields.Integer()
    replayed = fields.List(fields.Nested(QuarantineOutcome))


class QuarantineDiscarded(_QuarantineDecision):
    """What was discarded."""

    discarded = fields.Integer()
    ids = fields.List(fields.Integer())
