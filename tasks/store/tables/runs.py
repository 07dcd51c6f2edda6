"""Runs, their pages and their events; where each source goes on."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from tasks.store.tables.base import Base

_NOW = func.now()
_IS_ACTIVE = "status in ('queued','running')"


class Run(Base):
    """One attempt to bring a source up to date; see :mod:`tasks.domain.runs` for its states.

    ``traceparent`` is the trace it was queued in, so that a message sent again goes on with it.
    ``options``: full_refresh, dry_run, reason; keep_checkpoint for a run over what lies behind the
    checkpoint. ``fence`` rises whenever the run is taken from whoever works on it. ``slot`` is the
    schedule's moment, so that two beats make one run. ``judged_at`` is when its figures were held
    against those of earlier runs, ``judgement`` what came of it: ``baselines`` by figure
    (value, median, low, high, score, runs) and ``insufficient_history`` by figure (runs so far).
    """

    __tablename__ = "etl_runs"

    run_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    source: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="queued")
    trigger: Mapped[str]
    slot: Mapped[datetime | None]
    parent_run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("etl_runs.run_id", ondelete="SET NULL")
    )
    resumed_run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("etl_runs.run_id", ondelete="SET NULL")
    )
    options: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    request_id: Mapped[str | None]
    traceparent: Mapped[str | None]
    fence: Mapped[int] = mapped_column(server_default="1")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    pages: Mapped[int] = mapped_column(Integer, server_default="0")
    records_extracted: Mapped[int] = mapped_column(server_default="0")
    records_processed: Mapped[int] = mapped_column(server_default="0")
    records_failed: Mapped[int] = mapped_column(server_default="0")
    records_unchanged: Mapped[int] = mapped_column(server_default="0")
    queued_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    checkpoint_before: Mapped[dict[str, Any] | None]
    checkpoint_after: Mapped[dict[str, Any] | None]
    judged_at: Mapped[datetime | None]
    judgement: Mapped[dict[str, Any] | None]

    __table_args__ = (
        CheckConstraint(
            "status in ('queued','running','success','partial','failed','skipped',"
            "'crashed','cancelled')",
            name="status",
        ),
        CheckConstraint(
            "trigger in ('schedule','api','cli','retry','backfill','replay')", name="trigger"
        ),
        Index(
            "uq_etl_runs_active_source",
            "source",
            unique=True,
            postgresql_where=text(f"{_IS_ACTIVE} and trigger <> 'backfill'"),
        ),
        Index(
            "uq_etl_runs_active_backfill",
            "source",
            unique=True,
            postgresql_where=text(f"{_IS_ACTIVE} and trigger = 'backfill'"),
        ),
        Index(
            "uq_etl_runs_source_slot",
            "source",
            "slot",
            unique=True,
            postgresql_where=text("slot is not null"),
        ),
        Index("ix_etl_runs_queued_at_run_id", "queued_at", "run_id"),
        Index("ix_etl_runs_source_queued_at", "source", "queued_at"),
        Index(
            "ix_etl_runs_unjudged",
            "finished_at",
            postgresql_where=text("judged_at is null and status in ('success','partial')"),
        ),
    )


class RunPage(Base):
    """A piece of a run's work: ``pending → fetched → transformed → loaded``, or ``failed``.

    ``cursor`` is where its request begins; pages cut from one answer share the request of
    ``request_page``. Pages of one ``batch`` (the number of its first page)
    go through transform and load together. A claim is (``lease_token``, ``lease_until``): every
    write of the claimant carries the token. ``wake_at`` is when the sweeper sends the page's
    message again if nobody holds it.
    """

    __tablename__ = "run_pages"

    run_id: Mapped[UUID] = mapped_column(
        ForeignKey("etl_runs.run_id", ondelete="CASCADE"), primary_key=True
    )
    page: Mapped[int] = mapped_column(Integer, primary_key=True)
    state: Mapped[str] = mapped_column(server_default="pending")
    request_page: Mapped[int] = mapped_column(Integer)
    cursor: Mapped[dict[str, Any] | None]
    is_last: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    batch: Mapped[int | None] = mapped_column(Integer)
    raw_page_id: Mapped[int | None] = mapped_column(
        ForeignKey("raw_pages.raw_page_id", ondelete="SET NULL")
    )
    checkpoint: Mapped[dict[str, Any] | None]
    items: Mapped[int] = mapped_column(Integer, server_default="0")
    records: Mapped[int] = mapped_column(Integer, server_default="0")
    rejected: Mapped[int] = mapped_column(Integer, server_default="0")
    unchanged: Mapped[int] = mapped_column(Integer, server_default="0")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    resends: Mapped[int] = mapped_column(Integer, server_default="0")
    lease_token: Mapped[int] = mapped_column(server_default="0")
    lease_until: Mapped[datetime | None]
    lease_holder: Mapped[str | None]
    wake_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    fetched_at: Mapped[datetime | None]
    transformed_at: Mapped[datetime | None]
    loaded_at: Mapped[datetime | None]
    error: Mapped[str | None]

    __table_args__ = (
        CheckConstraint(
            "state in ('pending','fetched','transformed','loaded','failed')", name="state"
        ),
        Index(
            "ix_run_pages_wake_at",
            "wake_at",
            postgresql_where=text("state in ('pending','fetched','transformed')"),
        ),
        Index("ix_run_pages_raw_page_id", "raw_page_id"),
    )


class RunEvent(Base):
    """What happened in a run, when; served as the run's steps and event stream."""

    __tablename__ = "run_events"

    event_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("etl_runs.run_id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    event: Mapped[str]
    stage: Mapped[str | None]
    page: Mapped[int | None] = mapped_column(Integer)
    attempt: Mapped[int | None] = mapped_column(Integer)
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))

    __table_args__ = (Index("ix_run_events_run_id_event_id", "run_id", "event_id"),)


class Checkpoint(Base):
    """Where a source goes on: moved only by the load that completes a run."""

    __tablename__ = "etl_checkpoints"

    source: Mapped[str] = mapped_column(primary_key=True)
    checkpoint: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("etl_runs.run_id", ondelete="SET NULL"))
    last_success_at: Mapped[datetime | None]
    last_attempt_at: Mapped[datetime | None]
    last_attempt_status: Mapped[str | None]
    paused: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
