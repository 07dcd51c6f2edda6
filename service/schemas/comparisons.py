"""The difference of two runs on the wire."""

from marshmallow import fields

from service.schemas.base import Answer, Arguments, Exact, Moment
from service.schemas.runs import RunRow

_EXAMPLE = "0190a1b2-0000-7000-8000-000000000001"


class CompareQuery(Arguments):
    """Which runs are compared."""

    run1_id = fields.UUID(
        required=True, metadata={"description": "The baseline.", "example": _EXAMPLE}
    )
    run2_id = fields.UUID(required=True, metadata={"description": "The run that is judged."})


class Changes(Answer):
    """Items of the second run beside those of the first, by the source's own id."""

    added = fields.Integer()
    removed = fields.Integer()
    changed = fields.Integer()
    unchanged = fields.Integer()


class Mover(Answer):
    """An item whose price differs."""

    external_id = fields.String(metadata={"example": "bitcoin"})
    symbol = fields.String(metadata={"example": "btc"})
    price_before = Exact(metadata={"description": "USD."})
    price_after = Exact(metadata={"description": "USD."})
    change_percent = Exact(metadata={"description": "Of the price before."})


class FieldChange(Answer):
    """A field of the source's items that came, went, or has other JSON types."""

    field = fields.String(metadata={"example": "market_cap"})
    change = fields.String(metadata={"description": "`added`, `removed` or `retyped`."})
    before = fields.List(fields.String(), metadata={"description": "JSON types."})
    after = fields.List(fields.String(), metadata={"description": "JSON types."})


class Difference(Answer):
    """How the second run differs from the first."""

    run1_id = fields.UUID()
    run2_id = fields.UUID()
    source = fields.String(metadata={"example": "coingecko"})
    records_diff = fields.Integer(
        allow_none=True, metadata={"description": "Records of the second less those of the first."}
    )
    duration_diff_seconds = fields.Float(allow_none=True)
    duration_change_percent = fields.Float(
        allow_none=True, metadata={"description": "Of the first run's duration."}
    )
    status_changed = fields.Boolean()
    anomalies = fields.List(
        fields.String(), metadata={"description": "A sentence for each rule that is broken."}
    )
    changes = fields.Nested(
        Changes, allow_none=True, metadata={"description": "Null if answers are not stored."}
    )
    top_movers = fields.List(fields.Nested(Mover))
    schema_changes = fields.List(fields.Nested(FieldChange))
    not_compared = fields.List(
        fields.String(), metadata={"description": "What could not be compared."}
    )


class ComparedRuns(Answer):
    """Two runs and their difference."""

    request_id = fields.String()
    timestamp = Moment()
    run1 = fields.Nested(RunRow)
    run2 = fields.Nested(RunRow)
    comparison = fields.Nested(Difference)
