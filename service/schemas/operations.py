"""Sources on the wire."""

from marshmallow import fields

from service.schemas.base import Answer, Exact, Moment
from service.schemas.paging import RequestMeta


class SourceRow(Answer):
    """One source: how it is set up and how it stands. Never a secret."""

    name = fields.String()
    title = fields.String()
    kind = fields.String(metadata={"description": "`quotes` or `news`."})
    schedule = fields.String(metadata={"example": "0 */6 * * *"})
    next_run = Moment(allow_none=True, metadata={"description": "Null while it is paused."})
    paused = fields.Boolean()
    plan = fields.String()
    has_key = fields.Boolean()
    base_url = fields.String()
    path = fields.String()
    urls = fields.List(fields.String())
    rate_per_minute = fields.Integer(allow_none=True)
    monthly_budget = fields.Integer(allow_none=True)
    budget_remaining = fields.Dict(allow_none=True)
    circuit = fields.String()
    freshness = fields.String()
    data_age_seconds = Exact(allow_none=True)
    last_success = Moment(allow_none=True)
    last_attempt = Moment(allow_none=True)
    last_attempt_status = fields.String(allow_none=True)
    checkpoint = fields.Dict()
    active_run_id = fields.UUID(allow_none=True)


class SourceList(Answer):
    """Every enabled source."""

    request_id = fields.String()
    sources = fields.List(fields.Nested(SourceRow))
    timestamp = Moment()
    api_latency_ms = fields.Float()
    meta = fields.Nested(RequestMeta)
