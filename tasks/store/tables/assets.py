"""Assets, and which item of a source is which of them."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Computed,
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

from tasks.store.tables.base import RANK_BLOCK, Base

_NOW = func.now()


class Asset(Base):
    """One coin or token with its published (consensus) values.

    ``slug_id`` (``TICKER~slug``) is its own for ever; ``wire_id`` is what the API shows: the bare
    ticker for the ticker's owner, else the ``slug_id``. ``source`` provided the published price.
    ``owner_since`` is since when it has owned its ticker. Both ids are checked at the end of a
    statement, so that one statement can hand a ticker over; and such columns are no keys to
    PostgreSQL, so that doing it does not wait for inserts that refer to the row. No figure is in an
    index, for every load changes all of them; ``rank_block`` seldom changes.
    """

    __tablename__ = "assets"

    asset_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    wire_id: Mapped[str]
    slug_id: Mapped[str]
    owner_since: Mapped[datetime | None]
    ticker: Mapped[str]
    name: Mapped[str]
    coin_id: Mapped[str | None]
    rank: Mapped[int | None] = mapped_column(Integer)
    rank_block: Mapped[int | None] = mapped_column(
        Integer, Computed(f"rank / {RANK_BLOCK}", persisted=True)
    )
    price_usd: Mapped[Decimal | None]
    market_cap_usd: Mapped[Decimal | None]
    volume_24h_usd: Mapped[Decimal | None]
    percent_change_24h: Mapped[Decimal | None]
    source: Mapped[str | None]
    sources: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    sources_used: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    price_spread_pct: Mapped[Decimal | None]
    confidence: Mapped[Decimal | None]
    observed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    ingested_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=_NOW)

    __table_args__ = (
        UniqueConstraint("wire_id", deferrable=True),
        UniqueConstraint("slug_id", deferrable=True),
        Index("ix_assets_ticker", "ticker"),
        Index("ix_assets_rank_block_asset_id", "rank_block", "asset_id"),
        # Room for a second version of each row, which every load writes: then no index has to be
        # written with it.
        {"postgresql_with": {"fillfactor": 50}},
    )


class AssetLink(Base):
    """Which asset an item of a source is, why we think so, and who decided.

    ``symbol`` to ``contracts`` are the item's facts as first seen: a renamed item keeps its asset.
    ``keys``: two items that share none are never compared. ``identity_key`` is the normalised
    symbol and name, for people. ``slug_id`` is the id its asset has if the item names it; no two
    items have the same one, so it leads to the item's asset for ever. Until ``settles_at`` the
    resolver may move the item when one of its rivals arrives; afterwards only an operator may.
    """

    __tablename__ = "asset_links"

    source: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.asset_id", ondelete="CASCADE"))
    method: Mapped[str]
    confidence: Mapped[Decimal]
    evidence: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    decided_by: Mapped[str] = mapped_column(server_default="resolver")
    decided_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    settles_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    identity_key: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="linked")
    slug_id: Mapped[str | None]
    symbol: Mapped[str] = mapped_column(server_default="")
    name: Mapped[str] = mapped_column(server_default="")
    rank: Mapped[int | None] = mapped_column(Integer)
    price_usd: Mapped[Decimal | None]
    observed_at: Mapped[datetime | None]
    contracts: Mapped[str | None]
    keys: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))

    __table_args__ = (
        CheckConstraint("status in ('linked','unresolved')", name="status"),
        UniqueConstraint("slug_id"),
        Index("ix_asset_links_asset_id", "asset_id"),
        Index("ix_asset_links_keys", "keys", postgresql_using="gin"),
        Index(
            "ix_asset_links_unresolved",
            "source",
            "external_id",
            postgresql_where=text("status = 'unresolved'"),
        ),
    )


class KnownId(Base):
    """The operator's map of ids: items with the same ``key`` are one asset. Empty unless filled."""

    __tablename__ = "known_ids"

    source: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str]
