"""One published price per asset, and what became of every observation that could have made it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from tasks.domain import consensus as rules
from tasks.store import tickers


@dataclass(frozen=True, kw_only=True)
class SourcePolicy:
    """How far a source is trusted.

    Attributes:
        fresh_for_s: Seconds after its timestamp during which an observation counts as fresh.
        precedence: Of two equal sources the lower one goes first.
    """

    fresh_for_s: int
    precedence: int


# A median without floating point: the mean of the lower and the upper middle value.
def _median(value: str, where: str = "true") -> str:
    return (
        f"(percentile_disc(0.5) within group (order by {value}) filter (where {where})"
        f" + percentile_disc(0.5) within group (order by {value} desc) filter (where {where}))"
        " * 0.5"
    )


# One source has one voice. A price of zero has one only where nobody knows a better one. When
# nothing is fresh, the clock stands at the newest observation, so that the same rules choose among
# what is stale, and an old file still overwrites nothing newer.
_VOICES = """
policies as (
  select * from unnest(cast(:sources as text[]), cast(:fresh_for_s as int[]),
    cast(:precedences as int[])) as p (source, fresh_for_s, precedence)
), items as (
  select q.*, a.price_usd published, a.observed_at published_at,
    q.source = any(a.sources) was_here,
    coalesce(p.precedence, 2147483647) precedence, coalesce(p.fresh_for_s, 0) fresh_for_s,
    q.observed_at > now() + cast(:future_grace as interval) future,
    row_number() over (partition by q.asset_id, q.source
      order by q.observed_at desc, q.external_id) > 1 superseded,
    coalesce(q.price_usd > 0 or (q.price_usd = 0
      and not coalesce(bool_or(q.price_usd > 0) over (partition by q.asset_id), false)), false)
      priced
  from assets a join quotes q using (asset_id) left join policies p on p.source = q.source
  where a.asset_id = any(cast(:ids as bigint[]))
), voices as (
  select i.*, not future and not superseded speaks,
    priced and not future and not superseded votes from items i
), lively as (
  select v.*, coalesce(bool_or(votes and fresh_for_s > 0
    and now() - observed_at <= make_interval(secs => fresh_for_s)) over asset, false) live
  from voices v window asset as (partition by asset_id)
), timed as (
  select l.*, case when live then now() else coalesce(max(observed_at) filter (where votes)
    over asset, max(observed_at) filter (where speaks) over asset, now()) end moment
  from lively l window asset as (partition by asset_id)
), timely as (
  select t.*, speaks and (fresh_for_s > 0 or not live)
    and moment - observed_at <= make_interval(secs => fresh_for_s) timely
  from timed t
), fresh as (
  select t.*, timely and votes fresh,
    count(*) filter (where timely and votes) over asset fresh_count,
    array_agg(source) filter (where timely and votes) over asset fresh_sources,
    array_agg(price_usd) filter (where timely and votes) over asset fresh_prices,
    max(price_usd) filter (where timely and votes) over asset
      > min(price_usd) filter (where timely and votes) over asset
        * (1 + :tolerance * :readmit_share) contested
  from timely t window asset as (partition by asset_id)
)"""

# Most prices agree within the narrowest threshold; only the others need to be measured.
_JUDGED = f"""
measured as (
  select f.*, coalesce(abs(price_usd - middle) > greatest(:tolerance * middle, :mad_factor * mad)
    * case when use = 'outlier' then :readmit_share else 1 end, false) deviant
  from fresh f
  left join lateral (
    select {_median("o.price")} middle
    from unnest(f.fresh_sources, f.fresh_prices) o (source, price)
    where f.contested and f.fresh and f.fresh_count >= 3 and o.source <> f.source
  ) m on true
  left join lateral (
    select {_median("abs(o.price - m.middle)")} mad
    from unnest(f.fresh_sources, f.fresh_prices) o (source, price)
    where m.middle is not null and o.source <> f.source
  ) d on true
), suspected as (
  select m.*, deviant and 2 * count(*) filter (where deviant) over asset < fresh_count outlier,
    fresh and was_here and fresh_count < 3 and coalesce(published > 0 and price_usd > 0
      and published_at > observed_at - cast(:hold_memory as interval)
      and (price_usd > :hold_factor * published or published > :hold_factor * price_usd)
      and not (fresh_count = 1 and coalesce(held_at < observed_at
        and held_price_usd between price_usd / :same_level and price_usd * :same_level, false)),
      false)
      suspect
  from measured m window asset as (partition by asset_id)
), judged as (
  select s.*, suspect and not (fresh_count = 2
    and max(price_usd) filter (where fresh) over asset
      <= :same_level * min(price_usd) filter (where fresh) over asset) held
  from suspected s window asset as (partition by asset_id)
), decided as (
  select j.*, fresh and not outlier and not held used from judged j
)"""  # noqa: S608 - put together from constants

# Whatever is not the price comes from the first used source that knows it, never from a stale one.
_ATTRIBUTES = ",\n    ".join(
    f"(array_agg({column} order by used desc, precedence, d.source, external_id)"
    f" filter (where timely and {column} is not null))[1] {column}"
    for column in ("rank", "market_cap_usd", "volume_24h_usd", "percent_change_24h")
)

_PUBLISHED = f"""
prices as (
  select asset_id, count(*) filter (where used) used_count, bool_or(held) some_held,
    not bool_or(live) is_stale, {_median("price_usd", "used")} price,
    max(price_usd) filter (where used) highest, min(price_usd) filter (where used) lowest
  from decided group by asset_id
), spreads as (
  select p.asset_id, used_count, is_stale, some_held and used_count = 0 all_held,
    case when used_count = 1 then highest else trim_scale(price) end price,
    case when used_count > 1 and price > 0 then (highest - lowest) / price end spread
  from prices p
), published as (
  select s.asset_id, s.price, all_held, trim_scale(round(s.spread * 100, 4)) spread_pct,
    case when all_held then :confidence_if_held when s.price is null then null
      else trim_scale(round((cast(:confidence_by_count as numeric[]))[least(used_count, 4)]
        * case when spread > :tolerance then :confidence_if_disagreeing
            else 1 - coalesce(:confidence_lost * spread / :tolerance, 0) end
        * case when is_stale then :confidence_if_stale else 1 end, 2)) end confidence,
    array_agg(d.source order by precedence, d.source) filter (where not superseded) sources,
    coalesce(array_agg(d.source order by precedence, d.source) filter (where used), '{{}}')
      sources_used,
    array_agg(array[d.source, external_id] order by used desc, abs(price_usd - s.price),
      timely desc, precedence, d.source, external_id) provider,
    {_ATTRIBUTES},
    coalesce(max(observed_at) filter (where used), max(observed_at) filter (where timely),
      max(observed_at)) observed_at,
    max(ingested_at) ingested_at
  from spreads s join decided d using (asset_id)
  group by s.asset_id, s.price, all_held, spread, used_count, is_stale
)"""  # noqa: S608 - put together from constants

_EXPLAINED = """
explained as (
  select d.source, d.external_id, d.asset_id, d.price_usd, d.observed_at,
    case when future or superseded then 'stale' when not priced then 'unpriced'
      when not fresh then 'stale' when outlier then 'outlier' when held then 'held'
      else 'used' end use,
    case
      when future then 'Its timestamp lies in the future.'
      when superseded then 'A newer observation of the same source counts.'
      when price_usd = 0 then 'A price of zero counts only if no source knows a better one.'
      when not priced then 'It has no price.'
      when not fresh and fresh_for_s = 0 then 'Its source is not configured.'
      when not fresh then format('It is older than the %s seconds for which %s counts as fresh.',
        fresh_for_s, d.source)
      when outlier and use = 'outlier' then format('It has not come back to within %s %% of the '
        'median of the others, half the threshold.', trim_scale(:tolerance * :readmit_share * 100))
      when outlier then format('It deviates from the median of the others by more than %s %% and '
        'three times their usual deviation.', trim_scale(:tolerance * 100))
      when held then format('It moved by more than a factor of %s; awaiting another source, or a '
        'newer observation of this one.', :hold_factor)
      when not live then 'Nothing fresh is known; the newest observation stands.'
      when fresh_count = 1 then 'The only fresh price.'
      when p.spread_pct > :tolerance * 100 then format('The sources disagree by more than %s %%; '
        'published with low confidence.', trim_scale(:tolerance * 100))
      else 'Fresh, and in agreement with the others.' end use_reason,
    case when held then coalesce(case when held_price_usd between price_usd / :same_level
      and price_usd * :same_level then held_price_usd end, price_usd) end held_price_usd,
    case when held then coalesce(case when held_price_usd between price_usd / :same_level
      and price_usd * :same_level then held_at end, d.observed_at) end held_at
  from decided d join published p using (asset_id)
), marked as (
  update quotes q set use = e.use, use_reason = e.use_reason, held_price_usd = e.held_price_usd,
    held_at = e.held_at
  from explained e
  where q.source = e.source and q.external_id = e.external_id
    and (q.use, q.use_reason, q.held_price_usd, q.held_at)
      is distinct from (e.use, e.use_reason, e.held_price_usd, e.held_at)
)"""

# A held asset keeps what was published before its move.
_NEW = {
    "price_usd": "p.price",
    "market_cap_usd": "p.market_cap_usd",
    "volume_24h_usd": "p.volume_24h_usd",
    "percent_change_24h": "p.percent_change_24h",
    "rank": "p.rank",
    "source": "p.provider[1][1]",
    "coin_id": "p.provider[1][2]",
    "sources_used": "p.sources_used",
    "price_spread_pct": "p.spread_pct",
    "observed_at": "p.observed_at",
    "ingested_at": "p.ingested_at",
}
_TIMES = ("observed_at", "ingested_at")
_COLUMNS = (*_NEW, "sources", "confidence")


def _differs(columns: Iterable[str]) -> str:
    pairs = [(f"a.{column}", f"n.{column}") for column in columns]
    old, new = (", ".join(side) for side in zip(*pairs, strict=True))
    return f"({old}) is distinct from ({new})"


_CHOSEN = ", ".join(
    f"case when p.all_held then a.{column} else {new} end {column}" for column, new in _NEW.items()
)
_ASSIGNED = ", ".join(f"{column} = n.{column}" for column in _COLUMNS)
_CHANGED = _differs(column for column in _COLUMNS if column not in _TIMES)
_UPDATE = f"""
chosen as (
  select a.asset_id, p.sources, p.confidence, {_CHOSEN}
  from published p join assets a using (asset_id)
)
update assets a set {_ASSIGNED},
  updated_at = case when {_CHANGED} then now() else a.updated_at end
from chosen n where a.asset_id = n.asset_id and {_differs(_COLUMNS)}
"""  # noqa: S608 - put together from constants

_REFRESH = text(f"with {_VOICES}, {_JUDGED}, {_PUBLISHED}, {_EXPLAINED}, {_UPDATE}")

# So that a batch's observations are weighed in memory.
_ROOM = text("set local work_mem = '32MB'")

_FIGURES = {
    "tolerance": rules.TOLERANCE,
    "mad_factor": rules.MAD_FACTOR,
    "readmit_share": rules.READMIT_SHARE,
    "hold_factor": rules.HOLD_FACTOR,
    "same_level": rules.SAME_LEVEL,
    "hold_memory": rules.HOLD_MEMORY,
    "future_grace": rules.FUTURE_GRACE,
    "confidence_by_count": list(rules.CONFIDENCE_BY_COUNT),
    "confidence_lost": rules.CONFIDENCE_LOST_WITHIN,
    "confidence_if_disagreeing": rules.CONFIDENCE_IF_DISAGREEING,
    "confidence_if_stale": rules.CONFIDENCE_IF_STALE,
    "confidence_if_held": rules.CONFIDENCE_IF_HELD,
}


def lock(session: Session, asset_ids: Sequence[int]) -> None:
    """Lock assets, and all that share a ticker with them, in the order of their ids.

    Whoever writes observations does this first: :func:`refresh` writes what became of the
    observations of other sources, and whoever held those while waiting for an asset would wait in
    a circle.
    """
    tickers.lock(session, asset_ids, [])


def refresh(
    session: Session, *, asset_ids: Sequence[int], policies: Mapping[str, SourcePolicy]
) -> None:
    """Publish anew what the latest observations say of these assets.

    Names follow the source that goes first; at last the tickers' owners are decided again.

    Args:
        session: Of a transaction that called :func:`lock` before it wrote any observation.
        asset_ids: The assets observed, and those that lost an item.
        policies: Of the configured sources. Observations of others are stale, but still there.
    """
    session.execute(_ROOM)
    ids = list(asset_ids)
    precedence = {source: policy.precedence for source, policy in policies.items()}
    renamed = tickers.renamed(session, ids, precedence)
    touched = tickers.lock(session, ids, renamed)
    session.execute(_REFRESH, {"ids": ids, **_FIGURES, **_trusted(policies)})
    tickers.rename(session, renamed)
    tickers.decide_owners(session, touched)


def _trusted(policies: Mapping[str, SourcePolicy]) -> dict[str, Any]:
    return {
        "sources": list(policies),
        "fresh_for_s": [policy.fresh_for_s for policy in policies.values()],
        "precedences": [policy.precedence for policy in policies.values()],
    }
