"""Order lists by blocks of ranks, so that no index holds what every load changes.

Four of five coins of 20,000 changed their rank with a load, one of thirty-six its block of 256. A
row of which no indexed column changes is written without its indexes, if its page has room.

Expand first, contract in a later release: the running version must work on both sides of this.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_ADD = "alter table {table} add column rank_block integer generated always as (rank / 256) stored"


def upgrade() -> None:
    op.execute("alter table quotes set (fillfactor = 50)")
    for table in ("assets", "quotes"):  # writes each table anew, with the room that it is to have
        op.execute(_ADD.format(table=table))
    op.execute("drop index ix_assets_rank_asset_id")
    op.execute("drop index ix_quotes_source_rank")
    op.execute("create index ix_assets_rank_block_asset_id on assets (rank_block, asset_id)")
    op.execute("create index ix_quotes_source_rank_block on quotes (source, rank_block)")


def downgrade() -> None:
    op.execute("create index ix_quotes_source_rank on quotes (source, rank)")
    op.execute("create index ix_assets_rank_asset_id on assets (rank nulls last, asset_id)")
    for table in ("quotes", "assets"):
        op.execute(f"alter table {table} drop column rank_block")
    op.execute("alter table quotes reset (fillfactor)")
