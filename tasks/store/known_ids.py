"""The operator's map of ids: what it says, and which items are not where it says."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from tasks.domain.id_maps import KnownId
from tasks.domain.identity import ItemKey
from tasks.store import reopening
from tasks.store.decisions import Decision

_GIVEN = """
    unnest(cast(:sources as text[]), cast(:external_ids as text[]), cast(:keys as text[]))
      as g (source, external_id, key)
"""
_REMOVE = text(
    f"""
    delete from known_ids k where not exists (select from {_GIVEN}
      where g.source = k.source and g.external_id = k.external_id)
    returning source, external_id
    """  # noqa: S608 - put together from constants
)
_WRITE = text(
    f"""
    insert into known_ids as k (source, external_id, key)
    select source, external_id, key from {_GIVEN}
    on conflict (source, external_id) do update set key = excluded.key where k.key <> excluded.key
    returning source, external_id
    """  # noqa: S608 - put together from constants
)
# The keys by which the resolver finds an item's twins were written when it was first seen.
_REKEY = text(
    """
    update asset_links l set keys = c.keys from (
      select o.source, o.external_id, array(select key from unnest(o.keys) key
          where key not like 'k:%') || case when k.key is not null then array['k:' || k.key]
        else '{}' end keys
      from unnest(cast(:sources as text[]), cast(:external_ids as text[])) i (source, external_id)
      join asset_links o using (source, external_id)
      left join known_ids k using (source, external_id)
    ) c
    where l.source = c.source and l.external_id = c.external_id
    """
)
# Twins in several assets, others than twins in one, and links that rest on what the map said.
# An operator who linked an item to an asset spoke of what else is in there, too.
_ASTRAY = text(
    """
    with placed as (
      select l.source, l.external_id, l.asset_id, l.method, k.key from asset_links l
      left join known_ids k using (source, external_id)
    ), torn as (
      select key from placed where key is not null group by key having count(distinct asset_id) > 1
    ), wrong as (
      select asset_id from placed join torn using (key)
      union select asset_id from placed group by asset_id having count(distinct key) > 1
      union select asset_id from placed
        join unnest(cast(:sources as text[]), cast(:external_ids as text[]))
          as c (source, external_id) using (source, external_id)
        where asset_id in (select asset_id from placed where method = 'known_id')
    )
    select source, external_id from placed join wrong using (asset_id)
    where asset_id not in (select asset_id from placed where method = 'operator')
    order by source, external_id
    """
)
_REFUSED = text(
    """
    with twins as (
      select l.source, l.external_id, l.asset_id, k.key from asset_links l
      join known_ids k using (source, external_id)
    )
    select source || '/' || external_id from twins where key in (
      select key from twins group by key having count(distinct asset_id) > 1)
    order by 1
    """
)


class Replaced(NamedTuple):
    """What replacing the map did.

    Attributes:
        changed: Ids that are new in it or gone from it, or have other twins.
        moved: Items that changed their asset.
        decision: What is to be published anew.
    """

    changed: int
    moved: int
    decision: Decision


def replace(
    session: Session, known: Sequence[KnownId], *, precedence: Mapping[str, int] | None = None
) -> Replaced:
    """Replace the map, and decide anew about all items of the assets that are not as it says.

    What an operator has linked stays. The caller holds the lock (see
    :func:`tasks.store.links.lock`).

    Args:
        session: Of the caller's transaction.
        known: The whole map.
        precedence: Of sources; lower names an asset.
    """
    given = _columns(known) | {"keys": [entry.key for entry in known]}
    changed = [*session.execute(_REMOVE, given), *session.execute(_WRITE, given)]
    keys: list[ItemKey] = [(row.source, row.external_id) for row in changed]
    session.execute(_REKEY, _columns(keys))
    astray: list[ItemKey] = [
        (r.source, r.external_id) for r in session.execute(_ASTRAY, _columns(keys))
    ]
    outcome = reopening.reopen(session, astray, precedence=precedence)
    decision = Decision(
        sorted(outcome.changed_assets), sorted(outcome.closed_assets), outcome.founded
    )
    return Replaced(len(changed), outcome.moved, decision)


def refused(session: Session) -> list[str]:
    """Return the ids, as ``source/external_id``, that are not in one asset with their twins."""
    return list(session.scalars(_REFUSED))


def _columns(items: Sequence[tuple[str, ...]]) -> dict[str, list[str]]:
    return {"sources": [item[0] for item in items], "external_ids": [item[1] for item in items]}
