"""Keys, the audit, counters and versions."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Identity,
    Integer,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from tasks.store.tables.base import Base

_NOW = func.now()


class ApiKey(Base):
    """A key, as the hash of its secret."""

    __tablename__ = "api_keys"

    key_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    secret_sha256: Mapped[bytes]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    rate_per_minute: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class AuditEntry(Base):
    """Who did what to what."""

    __tablename__ = "audit_log"

    audit_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=_NOW)
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    request_id: Mapped[str | None]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


class IdempotencyKey(Base):
    """An answered ``Idempotency-Key``: the same key and body give the same runs."""

    __tablename__ = "idempotency_keys"

    actor: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_sha256: Mapped[bytes]
    response: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class MetricTotal(Base):
    """A monotonic counter that outlives processes and purged rows."""

    __tablename__ = "metric_totals"

    name: Mapped[str] = mapped_column(primary_key=True)
    labels: Mapped[dict[str, Any]] = mapped_column(primary_key=True)
    value: Mapped[Decimal] = mapped_column(server_default="0")


class DataVersion(Base):
    """One row a topic (``data``, ``runs``, ``news``): raised by every load that changed it."""

    __tablename__ = "data_versions"

    topic: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(server_default="0")
    rows: Mapped[int] = mapped_column(server_default="0")
    changed_at: Mapped[datetime] = mapped_column(server_default=_NOW)
