"""Every table: constraints named by convention, times ``timestamptz``, money ``NUMERIC``."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
_NOW = func.now()
_IS_ACTIVE = "status in ('queued','running')"


class Base(DeclarativeBase):
    """The declarative base: text is unbounded, time is aware, money is exact."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as it stands
        str: Text,
        int: BigInteger,
        datetime: DateTime(timezone=True),
        Decimal: Numeric,
        UUID: Uuid,
        bytes: LargeBinary,
        dict[str, Any]: JSONB(none_as_null=True),
        list[Any]: JSONB(none_as_null=True),
    }


class Run(Base):
    """One attempt to bring a source up to date; see :mod:`tasks.domain.runs` for its states.

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


class RawPage(Base):
    """One answer of a source, verbatim. Several runs may use it (a resumed run, a replay)."""

    __tablename__ = "raw_pages"

    raw_page_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("etl_runs.run_id", ondelete="CASCADE"))
    page: Mapped[int] = mapped_column(Integer)
    source: Mapped[str]
    request: Mapped[str]
    status: Mapped[int] = mapped_column(SmallInteger)
    media_type: Mapped[str]
    headers: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    body: Mapped[bytes]
    body_sha256: Mapped[bytes]
    unchanged_count: Mapped[int] = mapped_column(Integer, server_default="0")
    items: Mapped[list[Any] | None]
    ingested_at: Mapped[datetime] = mapped_column(server_default=_NOW)

    __table_args__ = (
        UniqueConstraint("run_id", "page"),
        Index("ix_raw_pages_source_ingested_at", "source", "ingested_at"),
    )


class StagedQuote(Base):
    """A normalised quote between transform and load.

    No foreign key: it would be checked for each row, and a run removes what it staged when it ends.
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


class Asset(Base):
    """One coin or token with its published (consensus) values.

    ``slug_id`` (``TICKER~slug``) is its own for ever; ``wire_id`` is what the API shows: the bare
    ticker for the ticker's owner, else the ``slug_id``. ``source`` provided the published price.
    ``owner_since`` is since when it has owned its ticker. Both ids are checked at the end of a
    statement, so that one statement can hand a ticker over; and such columns are no keys to
    PostgreSQL, so that doing it does not wait for inserts that refer to the row.
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
        Index("ix_assets_rank_asset_id", text("rank nulls last"), "asset_id"),
        Index("ix_assets_updated_at_asset_id", "updated_at", "asset_id"),
        Index(
            "ix_assets_market_cap_usd_asset_id", text("market_cap_usd desc nulls last"), "asset_id"
        ),
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


class QuoteRow(Base):
    """The latest observation of one source for one item; ``use`` says whether consensus took it.

    ``digest`` is of the item's bytes: an item that hashes the same costs nothing further.
    ``use``: used | stale | outlier | held | unpriced. ``held_price_usd`` and ``held_at`` are the
    price that awaits confirmation and its time. ``run_id`` is no foreign key, because every load
    changes it in every row and the check took a fifth of the upsert.
    """

    __tablename__ = "quotes"

    source: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.asset_id", ondelete="CASCADE"))
    symbol: Mapped[str]
    name: Mapped[str]
    rank: Mapped[int | None] = mapped_column(Integer)
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
    run_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    ingested_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=_NOW)

    __table_args__ = (
        Index("ix_quotes_asset_id", "asset_id"),
        Index("ix_quotes_source_rank", "source", "rank"),
        Index("ix_quotes_run_id", "run_id"),
    )


class QuoteHistory(Base):
    """Every distinct observation, partitioned by month of ``observed_at``."""

    __tablename__ = "quote_history"

    asset_id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    observed_at: Mapped[datetime] = mapped_column(primary_key=True)
    price_usd: Mapped[Decimal | None]
    market_cap_usd: Mapped[Decimal | None]
    volume_24h_usd: Mapped[Decimal | None]
    backfilled: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    ingested_at: Mapped[datetime] = mapped_column(server_default=_NOW)

    __table_args__ = (
        Index("ix_quote_history_asset_id_observed_at", "asset_id", "observed_at"),
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
