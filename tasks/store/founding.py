"""Assets for items that meet nobody, by one statement however many they are.

Two items are only compared if they share a key and are of different sources (see
:mod:`tasks.domain.resolution`). An unknown item that shares none with another source's is an asset
of its own, whatever else is known, and changes nothing about anybody else. After the first run of
a source these are most of its items.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from tasks.domain.consensus import CONFIDENCE_BY_COUNT
from tasks.store import assets, database, links
from tasks.store.database import HIDDEN_SOURCE

# What the consensus makes of a price that is fresh and alone; where it is not, it says so.
_LIKELY = {
    **{name: name for name in ("rank", "price_usd", "market_cap_usd", "volume_24h_usd")},
    "percent_change_24h": "percent_change_24h",
    "source": ":source",
    "coin_id": "external_id",
    "sources": "array[:source]",
    "sources_used": "array[:source]",
    "confidence": f"{CONFIDENCE_BY_COUNT[0].normalize()}",
    "observed_at": "observed_at",
    "ingested_at": "coalesce(ingested_at, now())",
}
# What an operator's map says of an item, and what was staged without its keys, is for the resolver.
# Who meets somebody is found by grouping, whose time grows with the rows only: the planner has no
# idea how many there are, and one join that it takes for a small one takes minutes.
_FOUND_ALONE = text(
    f"""
    with unknown as materialized ({links.NEWEST_UNKNOWN}),
    meeting as (
      select unnest(array_agg(external_id) filter (where external_id is not null)) external_id
      from (
        select external_id, unnest(keys) key from unknown
        union all select null, unnest(keys) from asset_links where source <> :source
      ) k
      group by key having count(*) > count(external_id)
    ), asked as (
      select u.*, row_number() over (order by u.external_id collate "C") place from unknown u
      where u.keys is not null and u.external_id not in (select external_id from meeting)
        and not exists (select from known_ids k
          where k.source = {HIDDEN_SOURCE} and k.external_id = u.external_id)
    ), {assets.founding(_LIKELY)}
    insert into asset_links (source, external_id, asset_id, method, confidence, identity_key,
      slug_id, symbol, name, rank, price_usd, observed_at, contracts, keys, settles_at)
    select :source, external_id, asset_id, 'founded', 1, identity_key, slug_id, symbol, name, rank,
      price_usd, observed_at, contracts, keys, now() + interval '{links.SETTLING}'
    from named
    """  # noqa: S608 - put together from constants
)


def found_alone(session: Session, source: str, run_id: UUID, pages: Sequence[int]) -> int:
    """Give every unknown staged item that meets no other source's an asset of its own.

    The caller holds the lock (see :func:`tasks.store.links.lock`).

    Args:
        session: Of the load's transaction.
        source: Whose pages.
        run_id: The run they were staged in.
        pages: Their numbers.

    Returns:
        How many were founded.
    """
    database.make_room(session)
    parameters = links.staged(source, run_id, pages)
    founded = session.connection().execute(_FOUND_ALONE, parameters).rowcount
    assets.plan_anew(session, founded)
    return founded
