"""Figures over all runs, on the wire."""

from marshmallow import fields, validate

from service.schemas.base import Answer, Arguments, Exact, Moment, SourceName
from service.schemas.paging import RequestMeta
from service.schemas.runs import RunRow


class SourceFigures(Answer):
    """What one source has done so far."""

    source = fields.String()
    records_processed = fields.Integer(metadata={"description": "Over all runs, purged ones too."})
    total_processed = fields.Integer(metadata={"description": "The same."})
    total_failed = fields.Integer(metadata={"description": "Rejected items over the kept runs."})
    last_success = Moment(allow_none=True)
    last_failure = Moment(allow_none=True)
    last_run_duration_seconds = Exact(allow_none=True)
    average_duration_seconds = Exact(allow_none=True)
    total_runs = fields.Integer(metadata={"description": "Runs that have ended."})
    success_rate = fields.Float(
        metadata={"description": "Successful share of the ended runs, 0 to 1."}
    )


class LastSuccess(Answer):
    """The newest run that succeeded."""

    source = fields.String()
    finished_at = Moment()
    duration_ms = Exact(allow_none=True)
    processed = fields.Integer()


class LastFailure(Answer):
    """The newest run that failed."""

    source = fields.String()
    finished_at = Moment()
    message = fields.String(allow_none=True)


class Stats(Answer):
    """Figures over all runs."""

    request_id = fields.String()
    timestamp = Moment()
    total_normalized = fields.Integer(metadata={"description": "Observations of all sources."})
    total_coins = fields.Integer(metadata={"description": "Assets."})
    coins_by_source = fields.Dict(keys=fields.String(), values=fields.Integer())
    sources = fields.List(fields.Nested(SourceFigures))
    last_success = fields.Nested(LastSuccess, allow_none=True)
    last_failure = fields.Nested(LastFailure, allow_none=True)
    recent_runs = fields.List(fields.Nested(RunRow))
    api_latency_ms = fields.Float()
    meta = fields.Nested(RequestMeta)


class StatsQuery(Arguments):
    """Which figures are wanted."""

    source = SourceName()
    shape = fields.String(
        validate=validate.OneOf(("object", "array")),
        metadata={"description": "`array` for the bare list `sources`."},
    )
