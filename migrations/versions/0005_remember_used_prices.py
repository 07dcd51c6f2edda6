"""Remember the price at which a source was last believed, to tell a move from a disagreement.

Expand first, contract in a later release: the running version must work on both sides of this.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.execute("alter table quotes add column last_used_price_usd numeric")


def downgrade() -> None:
    op.execute("alter table quotes drop column last_used_price_usd")
