"""Create the tables.

Expand first, contract in a later release: the running version must work on both sides of this.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("rate_per_minute", sa.Integer(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
    )
    op.create_table(
        "asset_history",
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asset_id", sa.BigInteger(), nullable=False),
        sa.Column("is_closed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("wire_id", sa.Text(), nullable=True),
        sa.Column("ticker", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("coin_id", sa.Text(), nullable=True),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("price_usd", sa.Numeric(), nullable=True),
        sa.Column("market_cap_usd", sa.Numeric(), nullable=True),
        sa.Column("volume_24h_usd", sa.Numeric(), nullable=True),
        sa.Column("percent_change_24h", sa.Numeric(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("sources", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("sources_used", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("price_spread_pct", sa.Numeric(), nullable=True),
        sa.Column("confidence", sa.Numeric(), nullable=True),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ingested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("valid_from", "asset_id", name=op.f("pk_asset_history")),
        postgresql_partition_by="RANGE (valid_from)",
    )
    op.create_table(
        "asset_baselines",
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("assets", sa.BigInteger(), nullable=False),
        sa.Column("appended", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("valid_from", name=op.f("pk_asset_baselines")),
    )
    op.create_table(
        "assets",
        sa.Column("asset_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("wire_id", sa.Text(), nullable=False),
        sa.Column("slug_id", sa.Text(), nullable=False),
        sa.Column("owner_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("coin_id", sa.Text(), nullable=True),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("price_usd", sa.Numeric(), nullable=True),
        sa.Column("market_cap_usd", sa.Numeric(), nullable=True),
        sa.Column("volume_24h_usd", sa.Numeric(), nullable=True),
        sa.Column("percent_change_24h", sa.Numeric(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column(
            "sources", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column(
            "sources_used",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("price_spread_pct", sa.Numeric(), nullable=True),
        sa.Column("confidence", sa.Numeric(), nullable=True),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("ingested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_assets")),
        sa.UniqueConstraint("slug_id", name=op.f("uq_assets_slug_id"), deferrable=True),
        sa.UniqueConstraint("wire_id", name=op.f("uq_assets_wire_id"), deferrable=True),
    )
    op.create_index(
        "ix_assets_market_cap_usd_asset_id",
        "assets",
        [sa.literal_column("market_cap_usd desc nulls last"), "asset_id"],
        unique=False,
    )
    op.create_index(
        "ix_assets_rank_asset_id",
        "assets",
        [sa.literal_column("rank nulls last"), "asset_id"],
        unique=False,
    )
    op.create_index("ix_assets_ticker", "assets", ["ticker"], unique=False)
    op.create_index(
        "ix_assets_updated_at_asset_id", "assets", ["updated_at", "asset_id"], unique=False
    )
    op.create_table(
        "audit_log",
        sa.Column("audit_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column(
            "detail",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit_log")),
    )
    op.create_table(
        "data_versions",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rows", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("topic", name=op.f("pk_data_versions")),
    )
    op.create_table(
        "etl_runs",
        sa.Column("run_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=True),
        sa.Column("parent_run_id", sa.Uuid(), nullable=True),
        sa.Column("resumed_run_id", sa.Uuid(), nullable=True),
        sa.Column(
            "options",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("fence", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pages", sa.Integer(), server_default="0", nullable=False),
        sa.Column("records_extracted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("records_processed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("records_failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("records_unchanged", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "queued_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("checkpoint_before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("checkpoint_after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("judgement", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "status in ('queued','running','success','partial','failed','skipped',"
            "'crashed','cancelled')",
            name=op.f("ck_etl_runs_status"),
        ),
        sa.CheckConstraint(
            "trigger in ('schedule','api','cli','retry','backfill','replay')",
            name=op.f("ck_etl_runs_trigger"),
        ),
        sa.ForeignKeyConstraint(
            ["parent_run_id"],
            ["etl_runs.run_id"],
            name=op.f("fk_etl_runs_parent_run_id_etl_runs"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["resumed_run_id"],
            ["etl_runs.run_id"],
            name=op.f("fk_etl_runs_resumed_run_id_etl_runs"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_etl_runs")),
    )
    op.create_index(
        "ix_etl_runs_queued_at_run_id", "etl_runs", ["queued_at", "run_id"], unique=False
    )
    op.create_index(
        "ix_etl_runs_source_queued_at", "etl_runs", ["source", "queued_at"], unique=False
    )
    op.create_index(
        "ix_etl_runs_unjudged",
        "etl_runs",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("judged_at is null and status in ('success','partial')"),
    )
    op.create_index(
        "uq_etl_runs_active_backfill",
        "etl_runs",
        ["source"],
        unique=True,
        postgresql_where=sa.text("status in ('queued','running') and trigger = 'backfill'"),
    )
    op.create_index(
        "uq_etl_runs_active_source",
        "etl_runs",
        ["source"],
        unique=True,
        postgresql_where=sa.text("status in ('queued','running') and trigger <> 'backfill'"),
    )
    op.create_index(
        "uq_etl_runs_source_slot",
        "etl_runs",
        ["source", "slot"],
        unique=True,
        postgresql_where=sa.text("slot is not null"),
    )
    op.create_table(
        "anomalies",
        sa.Column("anomaly_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("asset_id", sa.BigInteger(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("figure", sa.Text(), nullable=False),
        sa.Column("value", sa.Numeric(), nullable=True),
        sa.Column("expected_low", sa.Numeric(), nullable=True),
        sa.Column("expected_high", sa.Numeric(), nullable=True),
        sa.Column("score", sa.Numeric(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column(
            "detected_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("alert_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("alert_failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("opened_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('open','acknowledged','resolved')", name=op.f("ck_anomalies_state")
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"],
            ["assets.asset_id"],
            name=op.f("fk_anomalies_asset_id_assets"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"],
            ["anomalies.anomaly_id"],
            name=op.f("fk_anomalies_incident_id_anomalies"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["etl_runs.run_id"],
            name=op.f("fk_anomalies_run_id_etl_runs"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("anomaly_id", name=op.f("pk_anomalies")),
        sa.UniqueConstraint(
            "run_id", "rule", "figure", name=op.f("uq_anomalies_run_id_rule_figure")
        ),
    )
    op.create_index(
        "uq_anomalies_incident",
        "anomalies",
        ["source", "rule", "figure", sa.text("coalesce(asset_id, 0)")],
        unique=True,
        postgresql_where=sa.text("incident_id is null and state <> 'resolved'"),
    )
    op.create_index("ix_anomalies_incident_id", "anomalies", ["incident_id"], unique=False)
    op.create_index(
        "ix_anomalies_detected_at_anomaly_id",
        "anomalies",
        ["detected_at", "anomaly_id"],
        unique=False,
    )
    op.create_index(
        "ix_anomalies_alert_due_at",
        "anomalies",
        ["alert_due_at"],
        unique=False,
        postgresql_where=sa.text("alert_due_at is not null"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("response", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "known_ids",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "external_id", name=op.f("pk_known_ids")),
    )
    op.create_table(
        "metric_totals",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("labels", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("value", sa.Numeric(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", name=op.f("pk_metric_totals")),
    )
    op.create_table(
        "quote_history",
        sa.Column("asset_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("price_usd", sa.Numeric(), nullable=True),
        sa.Column("market_cap_usd", sa.Numeric(), nullable=True),
        sa.Column("volume_24h_usd", sa.Numeric(), nullable=True),
        sa.Column("backfilled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "ingested_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint(
            "asset_id", "source", "external_id", "observed_at", name=op.f("pk_quote_history")
        ),
        postgresql_partition_by="RANGE (observed_at)",
    )
    op.create_table(
        "asset_links",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Numeric(), nullable=False),
        sa.Column(
            "evidence",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("decided_by", sa.Text(), server_default="resolver", nullable=False),
        sa.Column(
            "decided_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "settles_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("identity_key", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="linked", nullable=False),
        sa.Column("slug_id", sa.Text(), nullable=True),
        sa.Column("symbol", sa.Text(), server_default="", nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("price_usd", sa.Numeric(), nullable=True),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("contracts", sa.Text(), nullable=True),
        sa.Column(
            "keys", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.CheckConstraint("status in ('linked','unresolved')", name=op.f("ck_asset_links_status")),
        sa.ForeignKeyConstraint(
            ["asset_id"],
            ["assets.asset_id"],
            name=op.f("fk_asset_links_asset_id_assets"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("source", "external_id", name=op.f("pk_asset_links")),
        sa.UniqueConstraint("slug_id", name=op.f("uq_asset_links_slug_id")),
    )
    op.create_index("ix_asset_links_asset_id", "asset_links", ["asset_id"], unique=False)
    op.create_index(
        "ix_asset_links_keys", "asset_links", ["keys"], unique=False, postgresql_using="gin"
    )
    op.create_index(
        "ix_asset_links_unresolved",
        "asset_links",
        ["source", "external_id"],
        unique=False,
        postgresql_where=sa.text("status = 'unresolved'"),
    )
    op.create_table(
        "etl_checkpoints",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column(
            "checkpoint",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_attempt_status", sa.Text(), nullable=True),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["etl_runs.run_id"],
            name=op.f("fk_etl_checkpoints_run_id_etl_runs"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_etl_checkpoints")),
    )
    op.create_table(
        "news",
        sa.Column("news_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("guid_hash", sa.LargeBinary(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "ingested_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["etl_runs.run_id"],
            name=op.f("fk_news_run_id_etl_runs"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("news_id", name=op.f("pk_news")),
        sa.UniqueConstraint("source", "guid_hash", name=op.f("uq_news_source_guid_hash")),
    )
    op.create_index(
        "ix_news_published_at_news_id",
        "news",
        [sa.literal_column("published_at desc nulls last"), "news_id"],
        unique=False,
    )
    op.create_table(
        "quotes",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("price_usd", sa.Numeric(), nullable=True),
        sa.Column("market_cap_usd", sa.Numeric(), nullable=True),
        sa.Column("volume_24h_usd", sa.Numeric(), nullable=True),
        sa.Column("percent_change_24h", sa.Numeric(), nullable=True),
        sa.Column("contracts", sa.Text(), nullable=True),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("use", sa.Text(), server_default="unpriced", nullable=False),
        sa.Column("use_reason", sa.Text(), nullable=True),
        sa.Column("held_price_usd", sa.Numeric(), nullable=True),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "ingested_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"],
            ["assets.asset_id"],
            name=op.f("fk_quotes_asset_id_assets"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("source", "external_id", name=op.f("pk_quotes")),
    )
    op.create_index("ix_quotes_asset_id", "quotes", ["asset_id"], unique=False)
    op.create_index("ix_quotes_run_id", "quotes", ["run_id"], unique=False)
    op.create_index("ix_quotes_source_rank", "quotes", ["source", "rank"], unique=False)
    op.create_table(
        "raw_pages",
        sa.Column("raw_page_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column(
            "headers",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("unchanged_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("items", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "ingested_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["etl_runs.run_id"],
            name=op.f("fk_raw_pages_run_id_etl_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("raw_page_id", name=op.f("pk_raw_pages")),
        sa.UniqueConstraint("run_id", "page", name=op.f("uq_raw_pages_run_id_page")),
    )
    op.create_index(
        "ix_raw_pages_source_ingested_at", "raw_pages", ["source", "ingested_at"], unique=False
    )
    op.create_table(
        "rejections",
        sa.Column("rejection_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("raw_page_id", sa.BigInteger(), nullable=True),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("payload_bytes", sa.LargeBinary(), nullable=True),
        sa.Column("replay_run_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("occurrences", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "state in ('open','replayed','discarded')", name=op.f("ck_rejections_state")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["etl_runs.run_id"],
            name=op.f("fk_rejections_run_id_etl_runs"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["replay_run_id"],
            ["etl_runs.run_id"],
            name=op.f("fk_rejections_replay_run_id_etl_runs"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["raw_page_id"],
            ["raw_pages.raw_page_id"],
            name=op.f("fk_rejections_raw_page_id_raw_pages"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("rejection_id", name=op.f("pk_rejections")),
        sa.UniqueConstraint(
            "source", "digest", "rule", "field", name=op.f("uq_rejections_source_digest_rule_field")
        ),
    )
    op.create_index("ix_rejections_raw_page_id", "rejections", ["raw_page_id"], unique=False)
    op.create_index("ix_rejections_run_id", "rejections", ["run_id"], unique=False)
    op.create_index("ix_rejections_replay_run_id", "rejections", ["replay_run_id"], unique=False)
    op.create_table(
        "schema_shapes",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("shape", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("drift_id", sa.BigInteger(), nullable=True),
        sa.Column("accepted_by", sa.Text(), nullable=False),
        sa.Column(
            "accepted_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("source", "schema_name", "version", name=op.f("pk_schema_shapes")),
    )
    op.create_table(
        "schema_drift_logs",
        sa.Column("drift_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("elements", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("confidence_score", sa.Numeric(), nullable=False),
        sa.Column("missing_fields", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("extra_fields", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("fuzzy_matches", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("type_changes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("null_rate_changes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("overlay", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("raw_page_id", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("occurrences", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "detected_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "status in ('open','accepted','muted')", name=op.f("ck_schema_drift_logs_status")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["etl_runs.run_id"],
            name=op.f("fk_schema_drift_logs_run_id_etl_runs"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("drift_id", name=op.f("pk_schema_drift_logs")),
        sa.UniqueConstraint(
            "source",
            "schema_name",
            "fingerprint",
            name=op.f("uq_schema_drift_logs_source_schema_name_fingerprint"),
        ),
    )
    op.create_index("ix_schema_drift_logs_run_id", "schema_drift_logs", ["run_id"], unique=False)
    op.create_index(
        "ix_schema_drift_logs_detected_at_drift_id",
        "schema_drift_logs",
        ["detected_at", "drift_id"],
        unique=False,
    )
    op.create_table(
        "run_events",
        sa.Column("event_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column(
            "detail",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["etl_runs.run_id"],
            name=op.f("fk_run_events_run_id_etl_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_run_events")),
    )
    op.create_index(
        "ix_run_events_run_id_event_id", "run_events", ["run_id", "event_id"], unique=False
    )
    op.create_table(
        "staged_news",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["etl_runs.run_id"],
            name=op.f("fk_staged_news_run_id_etl_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "page", "item", name=op.f("pk_staged_news")),
    )
    op.create_table(
        "staged_quotes",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("price_usd", sa.Numeric(), nullable=True),
        sa.Column("market_cap_usd", sa.Numeric(), nullable=True),
        sa.Column("volume_24h_usd", sa.Numeric(), nullable=True),
        sa.Column("percent_change_24h", sa.Numeric(), nullable=True),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("contracts", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "page", "item", name=op.f("pk_staged_quotes")),
    )
    op.create_table(
        "news_assets",
        sa.Column("news_id", sa.BigInteger(), nullable=False),
        sa.Column("asset_id", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Numeric(), nullable=False),
        sa.Column("mention", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"],
            ["assets.asset_id"],
            name=op.f("fk_news_assets_asset_id_assets"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["news_id"],
            ["news.news_id"],
            name=op.f("fk_news_assets_news_id_news"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("news_id", "asset_id", name=op.f("pk_news_assets")),
    )
    op.create_index("ix_news_assets_asset_id", "news_assets", ["asset_id"], unique=False)
    op.create_table(
        "run_pages",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("request_page", sa.Integer(), nullable=False),
        sa.Column("cursor", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("is_last", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.Column("raw_page_id", sa.BigInteger(), nullable=True),
        sa.Column("checkpoint", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("items", sa.Integer(), server_default="0", nullable=False),
        sa.Column("records", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rejected", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unchanged", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("resends", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_token", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_holder", sa.Text(), nullable=True),
        sa.Column(
            "wake_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("transformed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state in ('pending','fetched','transformed','loaded','failed')",
            name=op.f("ck_run_pages_state"),
        ),
        sa.ForeignKeyConstraint(
            ["raw_page_id"],
            ["raw_pages.raw_page_id"],
            name=op.f("fk_run_pages_raw_page_id_raw_pages"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["etl_runs.run_id"],
            name=op.f("fk_run_pages_run_id_etl_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "page", name=op.f("pk_run_pages")),
    )
    op.create_index("ix_run_pages_raw_page_id", "run_pages", ["raw_page_id"], unique=False)
    op.create_index(
        "ix_run_pages_wake_at",
        "run_pages",
        ["wake_at"],
        unique=False,
        postgresql_where=sa.text("state in ('pending','fetched','transformed')"),
    )


def downgrade() -> None:
    op.drop_table("anomalies")
    op.drop_index(
        "ix_run_pages_wake_at",
        table_name="run_pages",
        postgresql_where=sa.text("state in ('pending','fetched','transformed')"),
    )
    op.drop_index("ix_run_pages_raw_page_id", table_name="run_pages")
    op.drop_table("run_pages")
    op.drop_index("ix_news_assets_asset_id", table_name="news_assets")
    op.drop_table("news_assets")
    op.drop_table("staged_quotes")
    op.drop_table("staged_news")
    op.drop_index("ix_run_events_run_id_event_id", table_name="run_events")
    op.drop_table("run_events")
    op.drop_index("ix_schema_drift_logs_detected_at_drift_id", table_name="schema_drift_logs")
    op.drop_index("ix_schema_drift_logs_run_id", table_name="schema_drift_logs")
    op.drop_table("schema_drift_logs")
    op.drop_table("schema_shapes")
    op.drop_index("ix_rejections_replay_run_id", table_name="rejections")
    op.drop_index("ix_rejections_raw_page_id", table_name="rejections")
    op.drop_index("ix_rejections_run_id", table_name="rejections")
    op.drop_table("rejections")
    op.drop_index("ix_raw_pages_source_ingested_at", table_name="raw_pages")
    op.drop_table("raw_pages")
    op.drop_index("ix_quotes_source_rank", table_name="quotes")
    op.drop_index("ix_quotes_run_id", table_name="quotes")
    op.drop_index("ix_quotes_asset_id", table_name="quotes")
    op.drop_table("quotes")
    op.drop_index("ix_news_published_at_news_id", table_name="news")
    op.drop_table("news")
    op.drop_table("etl_checkpoints")
    op.drop_index("ix_asset_links_unresolved", table_name="asset_links")
    op.drop_index("ix_asset_links_keys", table_name="asset_links")
    op.drop_index("ix_asset_links_asset_id", table_name="asset_links")
    op.drop_table("asset_links")
    op.drop_table("quote_history")
    op.drop_table("metric_totals")
    op.drop_table("known_ids")
    op.drop_table("idempotency_keys")
    op.drop_index(
        "uq_etl_runs_source_slot",
        table_name="etl_runs",
        postgresql_where=sa.text("slot is not null"),
    )
    op.drop_index(
        "uq_etl_runs_active_source",
        table_name="etl_runs",
        postgresql_where=sa.text("status in ('queued','running') and trigger <> 'backfill'"),
    )
    op.drop_index(
        "uq_etl_runs_active_backfill",
        table_name="etl_runs",
        postgresql_where=sa.text("status in ('queued','running') and trigger = 'backfill'"),
    )
    op.drop_index("ix_etl_runs_unjudged", table_name="etl_runs")
    op.drop_index("ix_etl_runs_source_queued_at", table_name="etl_runs")
    op.drop_index("ix_etl_runs_queued_at_run_id", table_name="etl_runs")
    op.drop_table("etl_runs")
    op.drop_table("data_versions")
    op.drop_table("audit_log")
    op.drop_index("ix_assets_updated_at_asset_id", table_name="assets")
    op.drop_index("ix_assets_ticker", table_name="assets")
    op.drop_index("ix_assets_rank_asset_id", table_name="assets")
    op.drop_index("ix_assets_market_cap_usd_asset_id", table_name="assets")
    op.drop_table("assets")
    op.drop_table("asset_baselines")
    op.drop_table("asset_history")
    op.drop_table("api_keys")
