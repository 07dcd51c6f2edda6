"""The latest observation of each source, and the history of all of them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tasks.domain.consensus import ALONE, Use
from tasks.store import arrays
from tasks.store.database import HIDDEN_SOURCE
from tasks.store.tables import QuoteRow

_DIGESTS = text(
    f"""
    select external_id, digest from quotes
    join unnest(cast(:ids as text[])) i (external_id) using (external_id)
    where source = {HIDDEN_SOURCE}
    """  # noqa: S608 - put together from constants
)

# Of the staged observations of one moment the one fetched last counts. What is known is looked up
# here, before the first row is written: a statement passes by its own new rows one by one.
_STAGED = f"""
    select distinct on (s.external_id, s.observed_at) s.*, l.asset_id,
      coalesce(s.ingested_at, now()) came_at, q.observed_at known_at,
      q.price_usd known_price_usd, q.market_cap_usd known_market_cap_usd,
      q.volume_24h_usd known_volume_24h_usd
    from staged_quotes s
    join asset_links l on l.source = {HIDDEN_SOURCE} and l.external_id = s.external_id
    left join quotes q on q.source = {HIDDEN_SOURCE} and q.external_id = s.external_id
    where s.run_id = :run_id and s.page = any(:pages)
    order by s.external_id, s.observed_at desc, s.page desc, s.item desc
"""  # noqa: S608 - put together from constants

# The history holds changes: a newer timestamp on the same figures confirms them and adds nothing.
# An observation older than the latest one is compared with what the history says of its moment,
# so that a replay finds its own rows again. The look-up costs nothing for all others.
_APPEND = """
    insert into quote_history as h (asset_id, source, external_id, observed_at, price_usd,
      market_cap_usd, volume_24h_usd, ingested_at)
    select s.asset_id, :source, s.external_id, s.observed_at, s.price_usd, s.market_cap_usd,
      s.volume_24h_usd, s.came_at
    from staged s
    left join lateral (
      select e.price_usd, e.market_cap_usd, e.volume_24h_usd from quote_history e
      where s.observed_at < s.known_at and e.asset_id = s.asset_id and e.source = :source
        and e.external_id = s.external_id and e.observed_at <= s.observed_at
      order by e.observed_at desc limit 1
    ) known on true
    where s.price_usd is not null and case
      when s.known_at is null then true
      when s.observed_at < s.known_at then (s.price_usd, s.market_cap_usd, s.volume_24h_usd)
        is distinct from (known.price_usd, known.market_cap_usd, known.volume_24h_usd)
      else (s.price_usd, s.market_cap_usd, s.volume_24h_usd)
        is distinct from (s.known_price_usd, s.known_market_cap_usd, s.known_volume_24h_usd) end
    on conflict (asset_id, source, external_id, observed_at) do update set
      price_usd = excluded.price_usd, market_cap_usd = excluded.market_cap_usd,
      volume_24h_usd = excluded.volume_24h_usd, ingested_at = excluded.ingested_at
    where excluded.ingested_at >= h.ingested_at
      and (excluded.price_usd, excluded.market_cap_usd, excluded.volume_24h_usd)
        is distinct from (h.price_usd, h.market_cap_usd, h.volume_24h_usd)
"""

# Of each item the newest observation counts; of those with one timestamp the one fetched last, in
# this batch or in an earlier run. So a replay of old pages undoes nothing, and one whose rules
# have changed mends what its pages were the last word on. A new row says what the consensus is most
# likely to decide, so that it seldom has to be written again.
_UPSERT = """
    insert into quotes as q (source, external_id, asset_id, symbol, name, rank, price_usd,
      market_cap_usd, volume_24h_usd, percent_change_24h, contracts, observed_at, digest, run_id,
      ingested_at, use, use_reason)
    select distinct on (s.external_id) :source, s.external_id, s.asset_id, s.symbol, s.name, s.rank,
      s.price_usd, s.market_cap_usd, s.volume_24h_usd, s.percent_change_24h, s.contracts,
      s.observed_at, s.digest, s.run_id, s.came_at, :use, :use_reason
    from staged s
    order by s.external_id, s.observed_at desc
    on conflict (source, external_id) do update set
      asset_id = excluded.asset_id, symbol = excluded.symbol, name = excluded.name,
      rank = excluded.rank, price_usd = excluded.price_usd,
      market_cap_usd = excluded.market_cap_usd, volume_24h_usd = excluded.volume_24h_usd,
      percent_change_24h = excluded.percent_change_24h, contracts = excluded.contracts,
      observed_at = excluded.observed_at, digest = excluded.digest, run_id = excluded.run_id,
      ingested_at = excluded.ingested_at, updated_at = now(),
      last_used_price_usd = case when q.use = 'used' then q.price_usd
        else q.last_used_price_usd end
    where (excluded.observed_at, excluded.ingested_at) >= (q.observed_at, q.ingested_at)
      and (excluded.digest, excluded.observed_at, excluded.asset_id, excluded.symbol,
        excluded.name, excluded.rank, excluded.price_usd, excluded.market_cap_usd,
        excluded.volume_24h_usd, excluded.percent_change_24h, excluded.contracts)
      is distinct from (q.digest, q.observed_at, q.asset_id, q.symbol, q.name, q.rank,
        q.price_usd, q.market_cap_usd, q.volume_24h_usd, q.percent_change_24h, q.contracts)
"""
_OBSERVE = text(f"with staged as materialized ({_STAGED}), appended as ({_APPEND}) {_UPSERT}")


def digests(session: Session, source: str, ids: Sequence[str]) -> dict[str, bytes]:
    """Return the digest of the last observation of each of these items that is known."""
    rows = session.execute(_DIGESTS, {"source": source, "ids": arrays.texts(set(ids))})
    return {external_id: bytes(digest) for external_id, digest in rows}


def observed_at(session: Session, source: str, ids: Sequence[str]) -> dict[str, datetime]:
    """Return the time of the latest observation of each of these items that is known."""
    rows = session.execute(
        select(QuoteRow.external_id, QuoteRow.observed_at).where(
            QuoteRow.source == source, QuoteRow.external_id.in_(ids)
        )
    )
    return {row.external_id: row.observed_at for row in rows}


def observe(session: Session, source: str, run_id: UUID, pages: Sequence[int]) -> None:
    """Make the staged observations the latest ones unless newer ones are known.

    Those that say something new are also appended to the history.
    """
    likely = {"use": Use.USED, "use_reason": ALONE}
    staged = {"source": source, "run_id": run_id, "pages": list(pages)}
    session.execute(_OBSERVE, staged | likely)
