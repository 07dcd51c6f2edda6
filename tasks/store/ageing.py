"""Which observations went stale since somebody last looked."""

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.orm import Session

_TOPIC = "ageing"
_EXPIRED = text(
    """
    select distinct q.asset_id
    from quotes q
    join unnest(cast(:sources as text[]), cast(:windows as int[])) as p (source, fresh_for_s)
      on p.source = q.source
    where q.observed_at + make_interval(secs => p.fresh_for_s) <= now()
      and q.observed_at + make_interval(secs => p.fresh_for_s) > coalesce(
        (select changed_at from data_versions where topic = :topic for update), '-infinity')
    order by 1
    """
)
# The same moment that _EXPIRED looked from, so that nothing falls between two looks.
_LOOKED = text(
    """
    insert into data_versions (topic, changed_at) values (:topic, now())
    on conflict (topic) do update set changed_at = excluded.changed_at
    """
)


def take_expired(session: Session, windows: Mapping[str, int]) -> list[int]:
    """Return the assets with an observation that went stale since the last call that committed.

    Args:
        session: Of the transaction that decides their consensus anew.
        windows: Seconds for which each source's observations count as fresh.
    """
    parameters = {
        "sources": list(windows),
        "windows": list(windows.values()),
        "topic": _TOPIC,
    }
    expired = list(session.scalars(_EXPIRED, parameters))
    session.execute(_LOOKED, {"topic": _TOPIC})
    return expired
