"""The latest observation of each source, and the history of all of them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tasks.store.tables import QuoteRow

_DIGESTS = text(
    "select external_id, digest from quotes where source = :source and external_id = any(:ids)"
)

# The newest observation of each item within the batch; ties go to the page asked for later.
_UPSERT = text(
    """
    insert into quotes as q (source, external_id, asset_id, symbol, name, rank, price_usd,
      market_cap_usd, volume_24h_usd, percent_change_24h, contracts, observed_at, digest, run_id)
    select distinct on (s.external_id) :source, s.external_id, l.asset_id, s.symbol, s.name, s.rank,
      s.price_usd, s.market_cap_usd, s.volume_24h_usd, s.percent_change_24h, s.contracts,
      s.observed_at, s.digest, s.run_id
    from staged_quotes s
    join asset_links l on l.source = :source and l.external_id = s.external_id
    where s.run_id = :run_id and s.page = any(:pages)
    order by s.external_id, s.observed_at desc, s.page desc, s.item desc
    on conflict (source, external_id) do update set
      asset_id = excluded.asset_id, symbol = excluded.symbol, name = excluded.name,
      rank = excluded.rank, price_usd = excluded.price_usd,
      market_cap_usd = excluded.market_cap_usd, volume_24h_usd = excluded.volume_24h_usd,
      percent_change_24h = excluded.percent_change_24h, contracts = excluded.contracts,
      observed_at = excluded.observed_at, digest = excluded.digest, run_id = excluded.run_id,
      ingested_at = now(), updated_at = now()
    where excluded.observed_at >= q.observed_at and excluded.digest is distinct from q.digest
    """
)

# A newer timestamp on the same figures confirms them: freshness moves, history does not grow.
_APPEND = text(
    """
    insert into quote_history (asset_id, source, external_id, observed_at, price_usd,
      market_cap_usd, volume_24h_usd)
    select l.asset_id, :source, s.external_id, s.observed_at, s.price_usd, s.market_cap_usd,
      s.volume_24h_usd
    from (
      select distinct on (external_id, observed_at) external_id, observed_at, price_usd,
        market_cap_usd, volume_24h_usd
      from staged_quotes where run_id = :run_id and page = any(:pages)
      order by external_id, observed_at, page desc, item desc
    ) s
    join asset_links l on l.source = :source and l.external_id = s.external_id
    left join quotes q on q.source = :source and q.external_id = s.external_id
    where s.price_usd is not null and (
      q.external_id is null or s.observed_at < q.observed_at
      or (s.price_usd, s.market_cap_usd, s.volume_24h_usd)
        is distinct from (q.price_usd, q.market_cap_usd, q.volume_24h_usd))
    on conflict do nothing
    """
)

_TOUCHED = text(
    """
    select distinct l.asset_id from staged_quotes s
    join asset_links l on l.source = :source and l.external_id = s.external_id
    where s.run_id = :run_id and s.page = any(:pages) order by 1
    """
)


def digests(session: Session, source: str, ids: Sequence[str]) -> dict[str, bytes]:
    """Return the digest of the last observation of each of these items that is known."""
    rows = session.execute(_DIGESTS, {"source": source, "ids": list(ids)})
    return {external_id: bytes(digest) for external_id, digest in rows}


def observed_at(session: Session, source: str, ids: Sequence[str]) -> dict[str, datetime]:
    """Return the time of the latest observation of each of these items that is known."""
    rows = session.execute(
        select(QuoteRow.external_id, QuoteRow.observed_at).where(
            QuoteRow.source == source, QuoteRow.external_id.in_(ids)
        )
    )
    return {row.external_id: row.observed_at for row in rows}


def append_history(session: Session, source: str, run_id: UUID, pages: Sequence[int]) -> None:
    """Append the staged observations that are new, before :func:`upsert` hides what was known."""
    session.execute(_APPEND, _parameters(source, run_id, pages))


def upsert(session: Session, source: str, run_id: UUID, pages: Sequence[int]) -> None:
    """Make the staged observations the latest ones, unless a newer one is known."""
    session.execute(_UPSERT, _parameters(source, run_id, pages))


def touched_assets(session: Session, source: str, run_id: UUID, pages: Sequence[int]) -> list[int]:
    """Return the assets that the staged observations speak of, ascending."""
    return list(session.scalars(_TOUCHED, _parameters(source, run_id, pages)))


def _parameters(source: str, run_id: UUID, pages: Sequence[int]) -> dict[str, object]:
    return {"source": source, "run_id": run_id, "pages": list(pages)}
