"""What sources observe, and what was published, now and then."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Computed,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from tasks.store.tables.base import RANK_BLOCK, Base

_NOW = func.now()


class QuoteRow(Base):
    """The latest observation of one source for one item; ``use`` says whether consensus took it.

    ``digest`` is of the item's bytes: an item that hashes the same costs nothing further.
    ``use``: used | stale | outlier | held | unpriced. ``held_price_usd`` and ``held_at`` are the
    price that awaits confirmation and its time; ``last_used_price_usd`` is the one that was used
    before this price. ``run_id`` is no foreign key, because every load changes it in every row and
    the check took a fifth of the upsert; nor is it in an index. ``asset_id`` is that of the item's
    link, which is checked: a plan of the check made for a few assets reads all for each quote.
    """

    __tablename__ = "quotes"

    source: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    asset_id: Mapped[int]
    symbol: Mapped[str]
    name: Mapped[str]
    rank: Mapped[int | None] = mapped_column(Integer)
    rank_block: Mapped[int | None] = mapped_column(
        Integer, Computed(f"rank / {RANK_BLOCK}", persisted=True)
    )
    price_usd: Mapped[Decimal | None]
    market_cap_usd: Mapped[Decimal | None]
    volume_24h_usd: Mapped[Decimal | None]
    percent_change_24h: Mapped[Decimal | None]
    contracts: Mapped[str | None]
    observed_at: Mapped[datetime]
    digest: Mapped[bytes]
    use: Mapped[str] = mapped_column(server_default="unpriced")
    use_reason: Mapped[str | None]
    held_price_usd: Mapped[Decimal | None]
    held_at: Mapped[datetime | None]
    last_used_price_usd: Mapped[Decimal | None]
    run_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    ingested_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=_NOW)

    __table_args__ = (
        Index("ix_quotes_asset_id", "asset_id"),
        Index("ix_quotes_source_rank_block", "source", "rank_block"),
        # As for assets.
        {"postgresql_with": {"fillfactor": 50}},
    )


class QuoteHistory(Base):
    """Every distinct observation, partitioned by month of ``observed_at``."""

    __tablename__ = "quote_history"

    asset_id: Mapped[int]
    source: Mapped[str]
    external_id: Mapped[str]
    observed_at: Mapped[datetime]
    price_usd: Mapped[Decimal | None]
    market_cap_usd: Mapped[Decimal | None]
    volume_24h_usd: Mapped[Decimal | None]
    backfilled: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    ingested_at: Mapped[datetime] = mapped_column(server_default=_NOW)

    __table_args__ = (
        # In this order it also finds what is known of an asset in a time, whoever said it.
        PrimaryKeyConstraint("asset_id", "observed_at", "source", "external_id"),
        {"postgresql_partition_by": "RANGE (observed_at)"},
    )


class AssetHistory(Base):
    """What was published of an asset, from ``valid_from`` until its next row; never changed.

    It refers to no asset, because what was published of one that is no more stays what it was;
    ``is_closed`` says from when. Times of rows are in the order of commits: see
    :mod:`tasks.store.publication`.
    """

    __tablename__ = "asset_history"

    valid_from: Mapped[datetime] = mapped_column(primary_key=True)
    asset_id: Mapped[int] = mapped_column(primary_key=True)
    is_closed: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    wire_id: Mapped[str | None]
    ticker: Mapped[str | None]
    name: Mapped[str | None]
    coin_id: Mapped[str | None]
    rank: Mapped[int | None] = mapped_column(Integer)
    price_usd: Mapped[Decimal | None]
    market_cap_usd: Mapped[Decimal | None]
    volume_24h_usd: Mapped[Decimal | None]
    percent_change_24h: Mapped[Decimal | None]
    source: Mapped[str | None]
    sources: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    sources_used: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    price_spread_pct: Mapped[Decimal | None]
    confidence: Mapped[Decimal | None]
    observed_at: Mapped[datetime | None]
    created_at: Mapped[datetime | None]
    ingested_at: Mapped[datetime | None]
    updated_at: Mapped[datetime | None]

    __table_args__ = ({"postgresql_partition_by": "RANGE (valid_from)"},)


class AssetBaseline(Base):
    """A moment at which every asset was written to ``asset_history``, so none is sought before it.

    ``appended``: rows of the history since then.
    """

    __tablename__ = "asset_baselines"

    valid_from: Mapped[datetime] = mapped_column(primary_key=True)
    assets: Mapped[int]
    appended: Mapped[int] = mapped_column(server_default="0")
