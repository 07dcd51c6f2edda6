"""Quarantine, shapes and their drift, findings."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from tasks.store.tables.base import Base

_NOW = func.now()


class RejectionRow(Base):
    """An item in quarantine. The same item failing the same rule again is the same row, counted.

    ``raw_page_id`` and ``item`` say where it stands: in the newest page that holds it.
    ``payload`` is for people; ``payload_bytes`` is kept only where the text cannot give the item's
    bytes back. ``replay_run_id`` is the run that loaded the item after all.
    """

    __tablename__ = "rejections"

    rejection_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    source: Mapped[str]
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("etl_runs.run_id", ondelete="SET NULL"))
    page: Mapped[int] = mapped_column(Integer)
    raw_page_id: Mapped[int | None] = mapped_column(
        ForeignKey("raw_pages.raw_page_id", ondelete="SET NULL")
    )
    item: Mapped[int] = mapped_column(Integer)
    external_id: Mapped[str | None]
    digest: Mapped[bytes]
    field: Mapped[str]
    rule: Mapped[str]
    reason: Mapped[str]
    payload: Mapped[str]
    payload_bytes: Mapped[bytes | None]
    replay_run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("etl_runs.run_id", ondelete="SET NULL")
    )
    state: Mapped[str] = mapped_column(server_default="open")
    occurrences: Mapped[int] = mapped_column(Integer, server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=_NOW)

    __table_args__ = (
        CheckConstraint("state in ('open','replayed','discarded')", name="state"),
        UniqueConstraint("source", "digest", "rule", "field"),
        Index("ix_rejections_run_id", "run_id"),
        Index("ix_rejections_replay_run_id", "replay_run_id"),
        Index("ix_rejections_raw_page_id", "raw_page_id"),
    )


class SchemaShape(Base):
    """An accepted shape of a source's items; the highest version counts.

    Version 1 is what was in force before the first decision: the declared shape, or for a source
    that declares none the shape of its first page. ``drift_id`` is what was accepted.
    """

    __tablename__ = "schema_shapes"

    source: Mapped[str] = mapped_column(primary_key=True)
    schema_name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    shape: Mapped[dict[str, Any]]
    drift_id: Mapped[int | None]
    accepted_by: Mapped[str]
    accepted_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class SchemaDriftLog(Base):
    """A deviation from the accepted shape. The same one again is the same row, counted.

    ``elements`` are its deviations one by one: a batch that shows only some of them counts here
    as well. ``overlay`` is what accepting it merges into the accepted shape. ``run_id`` is the
    newest run that saw it, ``occurrences`` counts batches; ``raw_page_id`` is the page counted
    last, so that a page that is transformed again does not count again.
    """

    __tablename__ = "schema_drift_logs"

    drift_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    source: Mapped[str]
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("etl_runs.run_id", ondelete="SET NULL"))
    schema_name: Mapped[str]
    fingerprint: Mapped[str]
    elements: Mapped[list[str]] = mapped_column(ARRAY(Text))
    confidence_score: Mapped[Decimal]
    missing_fields: Mapped[list[Any]]
    extra_fields: Mapped[list[Any]]
    fuzzy_matches: Mapped[list[Any]]
    type_changes: Mapped[dict[str, Any]]
    null_rate_changes: Mapped[dict[str, Any]]
    warnings: Mapped[list[Any]]
    overlay: Mapped[dict[str, Any]]
    raw_page_id: Mapped[int | None]
    status: Mapped[str] = mapped_column(server_default="open")
    occurrences: Mapped[int] = mapped_column(Integer, server_default="1")
    detected_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    last_seen_at: Mapped[datetime] = mapped_column(server_default=_NOW)

    __table_args__ = (
        CheckConstraint("status in ('open','accepted','muted')", name="status"),
        UniqueConstraint("source", "schema_name", "fingerprint"),
        Index("ix_schema_drift_logs_run_id", "run_id"),
        Index("ix_schema_drift_logs_detected_at_drift_id", "detected_at", "drift_id"),
    )


class Anomaly(Base):
    """A finding about a run or a price: ``figure`` lay outside of what was expected.

    Findings of one source, rule and figure with nothing resolved between them are one incident:
    each but the first names the first in ``incident_id``. The first is also the outbox: when
    ``alert_due_at`` has come, the news that was not sent yet (``opened_sent_at``, then, once it is
    resolved, ``resolved_sent_at``) goes to the webhook.
    """

    __tablename__ = "anomalies"

    anomaly_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    incident_id: Mapped[int | None] = mapped_column(
        ForeignKey("anomalies.anomaly_id", ondelete="CASCADE")
    )
    source: Mapped[str]
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("etl_runs.run_id", ondelete="SET NULL"))
    asset_id: Mapped[int | None] = mapped_column(ForeignKey("assets.asset_id", ondelete="CASCADE"))
    rule: Mapped[str]
    figure: Mapped[str]
    value: Mapped[Decimal | None]
    expected_low: Mapped[Decimal | None]
    expected_high: Mapped[Decimal | None]
    score: Mapped[Decimal | None]
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="open")
    detected_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]
    resolved_at: Mapped[datetime | None]
    alert_due_at: Mapped[datetime | None]
    alert_failures: Mapped[int] = mapped_column(Integer, server_default="0")
    opened_sent_at: Mapped[datetime | None]
    resolved_sent_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state in ('open','acknowledged','resolved')", name="state"),
        UniqueConstraint("run_id", "rule", "figure"),
        Index(
            "uq_anomalies_incident",
            "source",
            "rule",
            "figure",
            text("coalesce(asset_id, 0)"),
            unique=True,
            postgresql_where=text("incident_id is null and state <> 'resolved'"),
        ),
        Index("ix_anomalies_incident_id", "incident_id"),
        Index("ix_anomalies_detected_at_anomaly_id", "detected_at", "anomaly_id"),
        Index(
            "ix_anomalies_alert_due_at",
            "alert_due_at",
            postgresql_where=text("alert_due_at is not null"),
        ),
    )
