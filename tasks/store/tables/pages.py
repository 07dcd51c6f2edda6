"""Answers of sources, and the records between transform and load."""

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
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from tasks.store.tables.base import Base

_NOW = func.now()


class RawPage(Base):
    """One answer of a source, verbatim. Several runs may use it (a resumed run, a replay).

    An answer that came byte by byte as the last time has no ``body``: ``same_as`` is the page that
    holds it.
    """

    __tablename__ = "raw_pages"

    raw_page_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("etl_runs.run_id", ondelete="CASCADE"))
    page: Mapped[int] = mapped_column(Integer)
    source: Mapped[str]
    request: Mapped[str]
    status: Mapped[int] = mapped_column(SmallInteger)
    media_type: Mapped[str]
    headers: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    body: Mapped[bytes | None]
    same_as: Mapped[int | None] = mapped_column(ForeignKey("raw_pages.raw_page_id"))
    body_sha256: Mapped[bytes]
    unchanged_count: Mapped[int] = mapped_column(Integer, server_default="0")
    items: Mapped[list[Any] | None]
    ingested_at: Mapped[datetime] = mapped_column(server_default=_NOW)

    __table_args__ = (
        UniqueConstraint("run_id", "page"),
        CheckConstraint("(body is null) = (same_as is not null)", name="body"),
        Index("ix_raw_pages_source_ingested_at", "source", "ingested_at"),
        Index("ix_raw_pages_same_as", "same_as", postgresql_where=text("same_as is not null")),
    )


class StagedQuote(Base):
    """A normalised quote between transform and load; ``ingested_at`` is of its page.

    ``ticker`` to ``keys`` are those of :class:`Asset` and :class:`AssetLink`; filled for items that
    may be new. No foreign key: it would be checked for each row, and a run removes what it staged
    when it ends.
    """

    __tablename__ = "staged_quotes"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    page: Mapped[int] = mapped_column(Integer, primary_key=True)
    item: Mapped[int] = mapped_column(Integer, primary_key=True)
    digest: Mapped[bytes]
    external_id: Mapped[str]
    symbol: Mapped[str]
    name: Mapped[str]
    rank: Mapped[int | None] = mapped_column(Integer)
    price_usd: Mapped[Decimal | None]
    market_cap_usd: Mapped[Decimal | None]
    volume_24h_usd: Mapped[Decimal | None]
    percent_change_24h: Mapped[Decimal | None]
    observed_at: Mapped[datetime]
    contracts: Mapped[str | None]
    ticker: Mapped[str | None]
    slug_id: Mapped[str | None]
    identity_key: Mapped[str | None]
    keys: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    ingested_at: Mapped[datetime | None]


class StagedNews(Base):
    """A normalised news entry between transform and load."""

    __tablename__ = "staged_news"

    run_id: Mapped[UUID] = mapped_column(
        ForeignKey("etl_runs.run_id", ondelete="CASCADE"), primary_key=True
    )
    page: Mapped[int] = mapped_column(Integer, primary_key=True)
    item: Mapped[int] = mapped_column(Integer, primary_key=True)
    digest: Mapped[bytes]
    external_id: Mapped[str]
    feed: Mapped[str]
    title: Mapped[str]
    url: Mapped[str | None]
    summary: Mapped[str | None]
    author: Mapped[str | None]
    published_at: Mapped[datetime | None]
