"""Runs on the wire."""

from typing import Any, ClassVar

from marshmallow import ValidationError, fields, validate, validates_schema

from service.schemas.base import Answer, Arguments, Exact, Flag, Moment, SourceName, Word
from service.schemas.paging import Paged, Pagination, RequestMeta, format_field
from tasks.core import failpoints
from tasks.domain.runs import COMPLETED, FINAL, RunStatus

RETRIABLE = tuple(sorted(FINAL - COMPLETED))
STATUSES = tuple(str(status) for status in RunStatus)
OLDER_STATUSES = {"failure": "failed", "started": "running"}
TRIGGERS = ("schedule", "api", "cli", "retry", "backfill", "replay")


class RunRow(Answer):
    """One attempt to bring a source up to date."""

    run_id = fields.UUID()
    source = fields.String(metadata={"example": "coingecko"})
    source_name = fields.String(metadata={"description": "The same as `source`."})
    status = fields.String(validate=validate.OneOf(STATUSES))
    trigger = fields.String(validate=validate.OneOf(TRIGGERS))
    parent_run_id = fields.UUID(
        allow_none=True, metadata={"description": "The run this one retries or replays."}
    )
    records_extracted = fields.Integer()
    records_processed = fields.Integer()
    processed = fields.Integer(metadata={"description": "The same as `records_processed`."})
    records_failed = fields.Integer(metadata={"description": "Rejected items."})
    failed = fields.Integer(metadata={"description": "The same as `records_failed`."})
    records_unchanged = fields.Integer(metadata={"description": "Items that were known already."})
    pages = fields.Integer()
    attempts = fields.Integer()
    duration_seconds = Exact(allow_none=True, metadata={"description": "Null until it has ended."})
    duration_ms = Exact(allow_none=True)
    queued_at = Moment()
    started_at = Moment(allow_none=True)
    completed_at = Moment(allow_none=True)
    finished_at = Moment(allow_none=True, metadata={"description": "The same as `completed_at`."})
    error_message = fields.String(allow_none=True)
    message = fields.String(allow_none=True, metadata={"description": "As `error_message`."})
    checkpoint_before = fields.Dict(allow_none=True)
    checkpoint_after = fields.Dict(allow_none=True)
    anomalies = fields.List(fields.Dict())


class RunQuery(Paged):
    """Which runs are wanted."""

    DEFAULT_LIMIT: ClassVar[int] = 10
    MAX_LIMIT: ClassVar[int] = 100
    DEFAULT_PAGE_SIZE: ClassVar[int] = 10
    LIMIT_IS_PAGE_SIZE: ClassVar[bool] = True

    source = SourceName(metadata={"example": "coingecko"})
    status = fields.String(validate=validate.OneOf((*STATUSES, *OLDER_STATUSES)))
    trigger = fields.String(validate=validate.OneOf(TRIGGERS))
    since = Moment(metadata={"description": "Queued at this time or later."})
    shape = fields.String(
        validate=validate.OneOf(("object", "array")),
        metadata={"description": "`array` for the bare list of runs."},
    )
    format = format_field()


class RunPage(Answer):
    """A page of runs."""

    request_id = fields.String()
    runs = fields.List(fields.Nested(RunRow))
    total_count = fields.Integer(allow_none=True)
    page = fields.Integer()
    per_page = fields.Integer()
    timestamp = Moment()
    api_latency_ms = fields.Float()
    pagination = fields.Nested(Pagination)
    meta = fields.Nested(RequestMeta)


class Step(Answer):
    """One stage of one page of a run."""

    stage = fields.String()
    page = fields.Integer(allow_none=True)
    attempt = fields.Integer(allow_none=True)
    started_at = Moment(allow_none=True)
    finished_at = Moment(allow_none=True)
    outcome = fields.String(allow_none=True)
    detail = fields.Dict()


class RunDetail(RunRow):
    """A run with all that happened in it."""

    request_id = fields.String()
    options = fields.Dict()
    steps = fields.List(fields.Nested(Step))
    events = fields.List(fields.Dict())
    drift_events = fields.List(fields.Dict())
    rejections = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "Rejected items by rule."},
    )


class FailureOverride(Arguments):
    """What is to go wrong in a run; what is left out is any."""

    point = fields.String(
        validate=validate.OneOf(failpoints.NAMES), metadata={"description": "Where."}
    )
    type = fields.String(validate=validate.OneOf(failpoints.TYPES))
    probability = fields.Float(
        validate=validate.Range(0, 1), metadata={"description": "Of each place that is reached."}
    )
    at_record = fields.Integer(
        strict=True,
        validate=validate.Range(1, 2**31 - 1),
        metadata={"description": "At this item of the run, counted from 1."},
    )
    seed = fields.Integer(strict=True, metadata={"description": "Makes the same choices again."})

    @validates_schema
    def _some_failure(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if not data:
            raise ValidationError(f"Say what is to fail, by some of {', '.join(self.fields)}.")


class TriggerBody(Arguments):
    """What to start."""

    sources = fields.List(
        Word(), metadata={"description": "All enabled ones unless given.", "example": ["coingecko"]}
    )
    full_refresh = Flag(metadata={"description": "Forget the checkpoint."})
    dry_run = Flag(metadata={"description": "Do all but publish."})
    reason = Word(max_length=500)
    failure = fields.Nested(
        FailureOverride,
        metadata={
            "description": "Injects failures into these runs. For the scope `admin`, and in "
            "production only with `ALLOW_FAILURE_INJECTION=true`."
        },
    )

    @validates_schema
    def _some_source(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if "sources" in data and not data["sources"]:
            raise ValidationError("Name at least one source, or leave it out.", "sources")


class RetryBody(Arguments):
    """Which runs are to be tried again; nothing said is all that failed or crashed."""

    source = SourceName(metadata={"example": "coingecko"})
    status = fields.List(
        fields.String(validate=validate.OneOf((*RETRIABLE, "failure"))),
        validate=validate.Length(min=1),
        metadata={"description": "`failed` and `crashed` unless given."},
    )
    since = Moment(metadata={"description": "Queued at this time or later."})
    until = Moment(metadata={"description": "Queued before this time."})


class TriggeredRun(Answer):
    """What became of one source that was to be started."""

    run_id = fields.String(
        allow_none=True,
        metadata={"description": "With `conflict`, the run that is active.", "format": "uuid"},
    )
    source = fields.String()
    status = fields.String(metadata={"description": "`queued`, or `conflict`."})
    links = fields.Dict(keys=fields.String(), values=fields.String())
    parent_run_id = fields.String(
        metadata={"description": "Of a retry: the run tried again.", "format": "uuid"}
    )
    reason = fields.String(metadata={"description": "Of a retry: why this run has no child."})


class Triggered(Answer):
    """What was started."""

    status = fields.String(metadata={"example": "triggered"})
    timestamp = fields.String(metadata={"format": "date-time"})
    message = fields.String()
    broker = fields.String(
        metadata={"description": "`connected`; `unavailable` if the runs wait for the broker."}
    )
    runs = fields.List(fields.Nested(TriggeredRun))
    request_id = fields.String()
