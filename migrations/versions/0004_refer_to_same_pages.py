"""Let a page that came as before refer to the earlier one instead of holding its bytes again.

Expand first, contract in a later release: the running version must work on both sides of this.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

JSON_VIEW = """
create or replace view raw_{source} as
select item ->> 'id' as external_id, item as payload, p.ingested_at, p.run_id
from raw_pages p {join} cross join lateral raw_items({body}) item
where p.source = '{source}' and p.status = 200
"""
ITEMS_VIEW = """
create or replace view raw_{source} as
select item ->> 'external_id' as external_id, item -> 'payload' as payload, p.ingested_at, p.run_id
from raw_pages p {join} cross join lateral jsonb_array_elements({items}) item
where p.source = '{source}' and {items} is not null
"""
REFERRING = {
    "join": "left join raw_pages o on o.raw_page_id = p.same_as",
    "body": "coalesce(o.body, p.body)",
    "items": "coalesce(o.items, p.items)",
}
HOLDING = {"join": "", "body": "p.body", "items": "p.items"}
FILL = """
    update raw_pages p set body = o.body, items = o.items
    from raw_pages o where o.raw_page_id = p.same_as
"""


def upgrade() -> None:
    op.execute(
        "alter table raw_pages add column same_as bigint"
        " constraint fk_raw_pages_same_as_raw_pages references raw_pages,"
        " alter column body drop not null,"
        " add constraint ck_raw_pages_body check ((body is null) = (same_as is not null))"
    )
    op.execute("create index ix_raw_pages_same_as on raw_pages (same_as) where same_as is not null")
    views(REFERRING)


def downgrade() -> None:
    views(HOLDING)
    op.execute("alter table raw_pages drop constraint ck_raw_pages_body")
    op.execute(FILL)
    op.execute("alter table raw_pages drop column same_as, alter column body set not null")


def views(parts: dict[str, str]) -> None:
    for source in ("coingecko", "coinpaprika"):
        op.execute(JSON_VIEW.format(source=source, **parts))
    for source in ("csv", "rss"):
        op.execute(ITEMS_VIEW.format(source=source, **parts))
