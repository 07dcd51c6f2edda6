"""Feed entries and the assets they speak of."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from tasks.store.tables.base import Base

_NOW = func.now()


class News(Base):
    """One feed entry, as plain text; an entry edited upstream is updated, not doubled."""

    __tablename__ = "news"

    news_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    source: Mapped[str]
    external_id: Mapped[str]
    guid_hash: Mapped[bytes]
    feed: Mapped[str]
    title: Mapped[str]
    url: Mapped[str | None]
    summary: Mapped[str | None]
    author: Mapped[str | None]
    published_at: Mapped[datetime | None]
    digest: Mapped[bytes]
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("etl_runs.run_id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    ingested_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=_NOW)

    __table_args__ = (
        UniqueConstraint("source", "guid_hash"),
        Index("ix_news_published_at_news_id", text("published_at desc nulls last"), "news_id"),
    )


class NewsAsset(Base):
    """A news entry speaks of an asset."""

    __tablename__ = "news_assets"

    news_id: Mapped[int] = mapped_column(
        ForeignKey("news.news_id", ondelete="CASCADE"), primary_key=True
    )
    asset_id: Mapped[int] = mapped_column(
        ForeignKey("assets.asset_id", ondelete="CASCADE"), primary_key=True
    )
    score: Mapped[Decimal]
    mention: Mapped[str]

    __table_args__ = (Index("ix_news_assets_asset_id", "asset_id"),)
