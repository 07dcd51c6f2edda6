"""Create the first history partitions and the views over the raw pages.

Expand first, contract in a later release: the running version must work on both sides of this.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# A page that is no JSON array, or that jsonb cannot hold (U+0000), has no rows in its view: the
# view must answer for the other pages, and the run that met the page has already said so.
RAW_ITEMS = r"""
create function raw_items(body bytea) returns setof jsonb language plpgsql stable as $$
begin
  return query select jsonb_array_elements(convert_from(body, 'UTF8')::jsonb);
exception when invalid_text_representation or character_not_in_repertoire
  or untranslatable_character or invalid_parameter_value then
  return;
end $$
"""
JSON_VIEW = """
create view raw_{source} as
select item ->> 'id' as external_id, item as payload, p.ingested_at, p.run_id
from raw_pages p cross join lateral raw_items(p.body) item
where p.source = '{source}' and p.status = 200
"""
ITEMS_VIEW = """
create view raw_{source} as
select item ->> 'external_id' as external_id, item -> 'payload' as payload, p.ingested_at, p.run_id
from raw_pages p cross join lateral jsonb_array_elements(p.items) item
where p.source = '{source}' and p.items is not null
"""


PARTITIONED = ("quote_history", "asset_history")
PARTITION = """
do $$ declare month timestamp; begin
  create table {table}_default partition of {table} default;
  for month in select date_trunc('month', now() at time zone 'UTC') + n * interval '1 month'
      from generate_series(0, 2) n loop
    execute format('create table {table}_%s partition of {table} for values from (%L) to (%L)',
                   to_char(month, 'YYYYMM'), month at time zone 'UTC',
                   (month + interval '1 month') at time zone 'UTC');
  end loop;
end $$
"""
UNPARTITION = """
do $$ declare part regclass; begin
  for part in select inhrelid::regclass from pg_inherits
      where inhparent = '{table}'::regclass loop
    execute format('drop table %s', part);
  end loop;
end $$
"""


def upgrade() -> None:
    for table in PARTITIONED:
        op.execute(PARTITION.format(table=table))
    op.execute(
        "create index ix_quote_history_asset_id_observed_at "
        "on quote_history (asset_id, observed_at)"
    )
    op.execute(RAW_ITEMS)
    for source in ("coingecko", "coinpaprika"):
        op.execute(JSON_VIEW.format(source=source))
    for source in ("csv", "rss"):
        op.execute(ITEMS_VIEW.format(source=source))


def downgrade() -> None:
    for source in ("coingecko", "coinpaprika", "csv", "rss"):
        op.execute(f"drop view raw_{source}")
    op.execute("drop function raw_items(bytea)")
    op.execute("drop index ix_quote_history_asset_id_observed_at")
    for table in PARTITIONED:
        op.execute(UNPARTITION.format(table=table))
