"""Health on the wire."""

from marshmallow import fields, validate

from service.schemas.base import Answer, Exact, Moment


class SourceHealth(Answer):
    """How one source stands."""

    last_run_status = fields.String(allow_none=True)
    last_run_time = Moment(allow_none=True)
    records_processed = fields.Integer(allow_none=True)
    last_success = Moment(allow_none=True)
    data_age_seconds = Exact(allow_none=True)
    freshness = fields.String(validate=validate.OneOf(("fresh", "late", "stale")))
    circuit = fields.String(validate=validate.OneOf(("closed", "half_open", "open", "unknown")))


class LastRun(Answer):
    """The newest run of all sources."""

    source = fields.String()
    status = fields.String()
    finished_at = Moment()
    processed = fields.Integer()
    failed = fields.Integer()


class Health(Answer):
    """How the system stands."""

    status = fields.String(validate=validate.OneOf(("healthy", "degraded", "unhealthy")))
    database = fields.String(validate=validate.OneOf(("connected", "unavailable")))
    database_connected = fields.Boolean()
    broker = fields.String(validate=validate.OneOf(("connected", "unavailable")))
    broker_connected = fields.Boolean()
    workers = fields.Integer(
        allow_none=True, metadata={"description": "Seen within a minute; null without a broker."}
    )
    etl_status = fields.Dict(keys=fields.String(), values=fields.Nested(SourceHealth))
    last_etl_run = fields.Nested(LastRun, allow_none=True)
    last_etl = Moment(allow_none=True, metadata={"description": "When the newest run ended."})
    last_etl_status = fields.String(allow_none=True)
    version = fields.String()
    timestamp = Moment()


class Live(Answer):
    """The process answers."""

    status = fields.String(metadata={"example": "alive"})
    version = fields.String()
    timestamp = Moment()


class Ready(Answer):
    """Whether requests may be sent here."""

    status = fields.String(validate=validate.OneOf(("ready", "not_ready")))
    draining = fields.Boolean(metadata={"description": "It was asked to stop."})
    database = fields.String()
    schema_revision = fields.String(allow_none=True)
    expected_revision = fields.String(allow_none=True)
    timestamp = Moment()
