"""What a backfill adds to the history: observations of the past, and nothing else."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tasks.domain.runs import BACKFILL
from tasks.store.database import HIDDEN_SOURCE
from tasks.store.tables import Run

# A point that is known, from a run or an earlier backfill, stays as it is.
_APPEND = text(
    f"""
    insert into quote_history (asset_id, source, external_id, observed_at, price_usd,
      market_cap_usd, volume_24h_usd, backfilled)
    select distinct on (s.external_id, s.observed_at) l.asset_id, :source, s.external_id,
      s.observed_at, s.price_usd, s.market_cap_usd, s.volume_24h_usd, true
    from staged_quotes s
    join asset_links l on l.source = {HIDDEN_SOURCE} and l.external_id = s.external_id
    where s.run_id = :run_id and s.page = any(:pages) and s.price_usd is not null
    order by s.external_id, s.observed_at, s.page desc, s.item desc
    on conflict (asset_id, source, external_id, observed_at) do nothing
    """  # noqa: S608 - put together from constants
)
_LINKED = text(
    """
    select l.external_id from asset_links l
    left join quotes q on q.source = l.source and q.external_id = l.external_id
    where l.source = :source and (:every or l.external_id = any(:coins))
    order by q.rank nulls last, l.external_id
    """
)


def append(session: Session, source: str, run_id: UUID, pages: Sequence[int]) -> int:
    """Add the staged points that are not known yet and return how many."""
    parameters = {"source": source, "run_id": run_id, "pages": list(pages)}
    return session.connection().execute(_APPEND, parameters).rowcount


def linked(session: Session, source: str, coins: Collection[str] | None) -> list[str]:
    """Return those of a source's ids that have an asset, the best-ranked first.

    Args:
        session: Of the caller's transaction.
        source: The source.
        coins: Only these; None for all.
    """
    parameters = {"source": source, "every": coins is None, "coins": list(coins or ())}
    return list(session.scalars(_LINKED, parameters))


def latest(
    session: Session, source: str, options: Mapping[str, Any], *, but: Run | None = None
) -> Run | None:
    """Return the newest backfill of the same coins and the same time, other than ``but``."""
    return session.scalars(
        select(Run)
        .where(
            Run.source == source,
            Run.trigger == BACKFILL,
            Run.options == dict(options),
            Run.run_id.is_distinct_from(None if but is None else but.run_id),
        )
        .order_by(Run.queued_at.desc(), Run.run_id)
        .limit(1)
    ).one_or_none()
