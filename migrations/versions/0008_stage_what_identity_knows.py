"""Stage what identity knows of items that may be new, so that one statement can found their assets.

Assets get room for a second version of each row, so that one with the same rank needs no index.

Expand first, contract in a later release: the running version must work on both sides of this.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_COLUMNS = {"ticker": "text", "slug_id": "text", "identity_key": "text", "keys": "text[]"}


def upgrade() -> None:
    for column, kind in _COLUMNS.items():
        op.execute(f"alter table staged_quotes add column {column} {kind}")
    op.execute("alter table assets set (fillfactor = 50)")


def downgrade() -> None:
    op.execute("alter table assets reset (fillfactor)")
    for column in _COLUMNS:
        op.execute(f"alter table staged_quotes drop column {column}")
