"""Drop the indexes of figures that every load changes, and compress pages by lz4 where it is known.

Each load paid for them in every row. No request needed one of them: a sort by a figure that has no
index reads some ten thousand rows in milliseconds, as those by price and volume always did.

Expand first, contract in a later release: the running version must work on both sides of this.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

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
    op.execute(COMPRESS)


def downgrade() -> None:
    op.execute("alter table raw_pages alter column body set compression default")
    op.execute("create index ix_quotes_run_id on quotes (run_id)")
    op.execute(
        "create index ix_assets_market_cap_usd_asset_id"
        " on assets (market_cap_usd desc nulls last, asset_id)"
    )
    op.execute("create index ix_assets_updated_at_asset_id on assets (updated_at, asset_id)")
