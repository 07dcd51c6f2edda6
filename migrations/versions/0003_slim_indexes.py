"""Keep only indexes that earn what each load pays for them; compress pages by lz4 if it is known.

Figures change with every load, and each row of it paid for their indexes. No request needed one of
them: a sort by a figure that has no index reads some ten thousand rows in milliseconds, as those
by price and volume always did. The history's key begins as its second index did, and serves both.

Expand first, contract in a later release: the running version must work on both sides of this.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

KEY = "alter table quote_history add constraint pk_quote_history primary key ({columns})"
# Only servers built with lz4 have it; the others keep to the slower compression they know.
COMPRESS = """
do $$ begin
  alter table raw_pages alter column body set compression lz4;
exception when feature_not_supported or invalid_parameter_value then
  null;
end $$
"""


def upgrade() -> None:
    op.execute("drop index ix_assets_updated_at_asset_id")
    op.execute("drop index ix_assets_market_cap_usd_asset_id")
    op.execute("drop index ix_quotes_run_id")
    op.execute("drop index ix_quote_history_asset_id_observed_at")
    op.execute("alter table quote_history drop constraint pk_quote_history")
    op.execute(KEY.format(columns="asset_id, observed_at, source, external_id"))
    op.execute(COMPRESS)


def downgrade() -> None:
    op.execute("alter table raw_pages alter column body set compression default")
    op.execute("alter table quote_history drop constraint pk_quote_history")
    op.execute(KEY.format(columns="asset_id, source, external_id, observed_at"))
    op.execute(
        "create index ix_quote_history_asset_id_observed_at"
        " on quote_history (asset_id, observed_at)"
    )
    op.execute("create index ix_quotes_run_id on quotes (run_id)")
    op.execute(
        "create index ix_assets_market_cap_usd_asset_id"
        " on assets (market_cap_usd desc nulls last, asset_id)"
    )
    op.execute("create index ix_assets_updated_at_asset_id on assets (updated_at, asset_id)")
