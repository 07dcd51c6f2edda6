"""Anomalies and schema drift on the wire."""

from marshmallow import fields, validate

from service.schemas.base import Answer, Exact, Moment, SourceName, Word
from service.schemas.paging import Page, Paged

STATES = ("open", "acknowledged", "resolved")
DECISIONS = ("open", "accepted", "muted")


class AnomalyQuery(Paged):
    """Which anomalies are wanted."""

    source = SourceName(metadata={"example": "coingecko"})
    state = fields.String(validate=validate.OneOf(STATES))
    status = fields.String(
        validate=validate.OneOf(STATES), metadata={"description": "Another name of `state`."}
    )
    rule = Word()


class AnomalyRow(Answer):
    """Something remarkable about a run, or about a source as a whole."""

    anomaly_id = fields.Integer()
    incident_id = fields.Integer(
        allow_none=True, metadata={"description": "The first finding of the same incident."}
    )
    source = fields.String(metadata={"example": "coingecko"})
    run_id = fields.UUID(allow_none=True)
    asset_id = fields.Integer(allow_none=True)
    rule = fields.String()
    figure = fields.String(metadata={"description": "What was measured."})
    value = Exact(allow_none=True)
    expected_low = Exact(allow_none=True)
    expected_high = Exact(allow_none=True)
    score = Exact(allow_none=True)
    reason = fields.String()
    state = fields.String(validate=validate.OneOf(STATES))
    detected_at = Moment()
    acknowledged_at = Moment(allow_none=True)
    acknowledged_by = fields.String(allow_none=True)
    resolved_at = Moment(allow_none=True)
    status = fields.String(metadata={"description": "The same as `state`."})


class DriftQuery(Paged):
    """Which drift is wanted."""

    source = SourceName(metadata={"example": "coingecko"})
    status = fields.String(validate=validate.OneOf(DECISIONS))


class DriftRow(Answer):
    """How what a source sends differs from the accepted shape."""

    drift_id = fields.Integer()
    source = fields.String(metadata={"example": "coingecko"})
    run_id = fields.UUID(allow_none=True, metadata={"description": "The run that saw it last."})
    schema_name = fields.String()
    confidence_score = Exact(
        metadata={"description": "Matched fields of those expected, 0 to 1.", "example": 0.9}
    )
    missing_fields = fields.List(fields.Raw())
    extra_fields = fields.List(fields.Raw())
    fuzzy_matches = fields.List(fields.Raw())
    type_changes = fields.Dict()
    null_rate_changes = fields.Dict()
    warnings = fields.List(fields.Raw())
    detected_at = Moment()
    status = fields.String(validate=validate.OneOf(DECISIONS))
    occurrences = fields.Integer(metadata={"description": "Answers it was seen in."})
    last_seen_at = Moment()


class AnomalyPage(Page):
    """A page of anomalies, newest first."""

    data = fields.List(fields.Nested(AnomalyRow))


class DriftPage(Page):
    """A page of the drift log, newest first."""

    data = fields.List(fields.Nested(DriftRow))


class Decided(Answer):
    """What was decided about a drift."""

    drift_id = fields.Integer()
    status = fields.String(validate=validate.OneOf(DECISIONS))
    request_id = fields.String()
