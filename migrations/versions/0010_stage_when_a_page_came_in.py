"""Stage when a page came in, so that a load need not look it up for each of its records.

Expand first, contract in a later release: the running version must work on both sides of this.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.execute("alter table staged_quotes add column ingested_at timestamptz")


def downgrade() -> None:
    op.execute("alter table staged_quotes drop column ingested_at")
