"""The consensus of docs/adr/0021-consensus.md as SQL: each rule once, for two kinds of assets.

Most assets have one observation. For them a rule needs no window, group or sort, and the planner
no time to plan these. So each rule is written over a notion of *all observations of the asset*,
once for several of them and once for a single one; a test holds the two against each other.
"""

from collections.abc import Mapping

from sqlalchemy import TextClause, text

from tasks.store.consensus_scopes import Alone, Several, median

_FIGURES = ("rank", "market_cap_usd", "volume_24h_usd", "percent_change_24h")
_TIMES = ("observed_at", "ingested_at")


# One source has one voice. A price of zero has one only where nobody knows a better one. When
# nothing is fresh, the clock stands at the newest observation, so that the same rules choose among
# what is stale, and an old file still overwrites nothing newer.
_ITEMS = """
policies as (
  select * from unnest(cast(:sources as text[]), cast(:fresh_for_s as int[]),
    cast(:precedences as int[])) as p (source, fresh_for_s, precedence)
), items as (
  select q.source, q.external_id, q.asset_id, q.symbol, q.name, a.ticker, a.name shown, q.rank,
    q.price_usd, q.market_cap_usd,
    q.volume_24h_usd, q.percent_change_24h, q.observed_at, q.ingested_at, q.use, q.use_reason,
    q.held_price_usd, q.held_at, q.last_used_price_usd, a.price_usd published,
    a.observed_at published_at,
    coalesce(p.precedence, 2147483647) precedence, coalesce(p.fresh_for_s, 0) fresh_for_s,
    q.observed_at > now() + cast(:future_grace as interval) future
  from unnest(cast(:ids as bigint[])) i (asset_id) join assets a using (asset_id)
    join quotes q using (asset_id) left join policies p on p.source = q.source
)"""


def _voices(rule: Several, superseded: str) -> str:
    is_fresh = "now() - observed_at <= make_interval(secs => fresh_for_s)"
    return f"""
voices as (
  select i.*, not future and not superseded speaks,
    priced and not future and not superseded votes
  from (
    select i.*, {superseded} superseded, coalesce(price_usd > 0 or (price_usd = 0
      and not {rule.any("price_usd > 0")}), false) priced
    from items i window asset as (partition by asset_id)
  ) i
), lively as (
  select v.*, {rule.any(f"votes and fresh_for_s > 0 and {is_fresh}")} live
  from voices v window asset as (partition by asset_id)
), timed as (
  select l.*, case when live then now() else coalesce({rule.highest("observed_at", "votes")},
    {rule.highest("observed_at", "speaks")}, now()) end moment
  from lively l window asset as (partition by asset_id)
), timely as materialized (
  select t.*, speaks and (fresh_for_s > 0 or not live)
    and moment - observed_at <= make_interval(secs => fresh_for_s) timely
  from timed t
)"""  # noqa: S608 - put together from constants


# Most prices agree within the narrowest threshold; only the others need to be measured.
_MEASURED = f"""
fresh as (
  select t.*, timely and votes fresh,
    count(*) filter (where timely and votes) over asset fresh_count,
    array_agg(source) filter (where timely and votes) over asset fresh_sources,
    array_agg(price_usd) filter (where timely and votes) over asset fresh_prices,
    max(price_usd) filter (where timely and votes) over asset
      > min(price_usd) filter (where timely and votes) over asset
        * (1 + :tolerance * :readmit_share) contested
  from timely t window asset as (partition by asset_id)
), measured as (
  select f.*, coalesce(abs(price_usd - middle) > greatest(:tolerance * middle, :mad_factor * mad)
    * case when use = 'outlier' then :readmit_share else 1 end, false) deviant
  from fresh f
  left join lateral (
    select {median("o.price")} middle
    from unnest(f.fresh_sources, f.fresh_prices) o (source, price)
    where f.contested and f.fresh and f.fresh_count >= 3 and o.source <> f.source
  ) m on true
  left join lateral (
    select {median("abs(o.price - m.middle)")} mad
    from unnest(f.fresh_sources, f.fresh_prices) o (source, price)
    where m.middle is not null and o.source <> f.source
  ) d on true
)"""  # noqa: S608 - put together from constants
# A price that nothing stands beside deviates from nothing.
_UNMEASURED = """
measured as (
  select t.*, timely and votes fresh, (timely and votes)::int fresh_count, false deviant
  from timely t
)"""


# A price has moved if it is far from what is published and from what its source said before. Two
# sources far apart have not moved: each is far from the midpoint, and where it was.
def _is_move(before: str) -> str:
    return f"(price_usd > :hold_factor * {before} or {before} > :hold_factor * price_usd)"


def _judged(rule: Several) -> str:
    return f"""
suspected as (
  select m.*, deviant and 2 * {rule.count("deviant")} < fresh_count outlier,
    fresh and fresh_count < 3 and coalesce(published > 0 and price_usd > 0
      and published_at > observed_at - cast(:hold_memory as interval)
      and {_is_move("published")} and {_is_move("last_used_price_usd")}
      and not (fresh_count = 1 and coalesce(held_at < observed_at
        and held_price_usd between price_usd / :same_level and price_usd * :same_level, false)),
      false)
      suspect
  from measured m window asset as (partition by asset_id)
), judged as (
  select s.*, suspect and not (fresh_count = 2 and {rule.highest("price_usd", "fresh")}
    <= :same_level * {rule.lowest("price_usd", "fresh")}) held
  from suspected s window asset as (partition by asset_id)
), decided as materialized (
  select j.*, fresh and not outlier and not held used from judged j
)"""  # noqa: S608 - put together from constants


def _priced(rule: Several, *, grouped: bool) -> str:
    return f"""
prices as (
  select {"asset_id" if grouped else "decided.*"}, {rule.count("used")} used_count,
    {rule.any("held")} some_held, not {rule.any("live")} is_stale,
    {rule.median("price_usd", "used")} middle, {rule.highest("price_usd", "used")} highest,
    {rule.lowest("price_usd", "used")} lowest
  from decided {"group by asset_id" if grouped else ""}
), spreads as (
  select p.*, some_held and used_count = 0 all_held,
    case when used_count = 1 then highest else trim_scale(middle) end price,
    case when used_count > 1 and middle > 0 then (highest - lowest) / middle end spread
  from prices p
)"""  # noqa: S608 - put together from constants


# Whatever is not the price comes from the first used source that knows it, never from a stale one.
_BY_SOURCE = "d.precedence, d.source"
_BEST_FIRST = f"d.used desc, {_BY_SOURCE}, d.external_id"
_NEAREST_FIRST = (
    f"d.used desc, abs(d.price_usd - s.price), d.timely desc, {_BY_SOURCE}, d.external_id"
)
_CONFIDENCE = """
    case when s.all_held then :confidence_if_held when s.price is null then null
      else trim_scale(round((cast(:confidence_by_count as numeric[]))[least(s.used_count, 4)]
        * case when s.spread > :tolerance then :confidence_if_disagreeing
            else 1 - coalesce(:confidence_lost * s.spread / :tolerance, 0) end
        * case when s.is_stale then :confidence_if_stale else 1 end, 2)) end"""


def _published(rule: Several, *, grouped: bool) -> str:
    group = "group by s.asset_id, s.price, s.all_held, s.spread, s.used_count, s.is_stale"
    # One observation is its own group.
    together = "join decided d using (asset_id)" if grouped else "cross join lateral (select s.*) d"
    figures = ",\n    ".join(
        f"{rule.first(f'd.{column}', f'd.timely and d.{column} is not null', _BEST_FIRST)} {column}"
        for column in _FIGURES
    )
    return f"""
published as materialized (
  select s.asset_id, s.price, s.all_held, trim_scale(round(s.spread * 100, 4)) price_spread_pct,
    {_CONFIDENCE} confidence,
    {rule.list("d.source", "not d.superseded", _BY_SOURCE)} sources,
    coalesce({rule.list("d.source", "d.used", _BY_SOURCE)}, '{{}}') sources_used,
    {rule.list("array[d.source, d.external_id]", "true", _NEAREST_FIRST)} provider,
    {figures},
    coalesce({rule.highest("d.observed_at", "d.used")},
      {rule.highest("d.observed_at", "d.timely")},
      {rule.highest("d.observed_at", "true")}) observed_at,
    {rule.highest("d.ingested_at", "true")} ingested_at
  from spreads s {together} {group if grouped else ""}
)"""  # noqa: S608 - put together from constants


# Only what is said anew is looked up to be written: of most observations the same is said again.
_EXPLAINED = """
explained as (
  select d.source, d.external_id, (d.use, d.use_reason, d.held_price_usd, d.held_at) before,
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
      when fresh_count = 1 then :alone
      when p.price_spread_pct > :tolerance * 100 then format('The sources disagree by more than '
        '%s %%; published with low confidence.', trim_scale(:tolerance * 100))
      else 'Fresh, and in agreement with the others.' end use_reason,
    case when held then coalesce(case when held_price_usd between price_usd / :same_level
      and price_usd * :same_level then held_price_usd end, price_usd) end held_price_usd,
    case when held then coalesce(case when held_price_usd between price_usd / :same_level
      and price_usd * :same_level then held_at end, d.observed_at) end held_at
  from decided d join published p using (asset_id)
), anew as materialized (
  select * from explained where before is distinct from (use, use_reason, held_price_usd, held_at)
), marked as (
  update quotes q set use = n.use, use_reason = n.use_reason, held_price_usd = n.held_price_usd,
    held_at = n.held_at
  from anew n
  where q.source = n.source and q.external_id = n.external_id
)"""

_PUBLISHED = {
    "price_usd": "p.price",
    "source": "p.provider[1][1]",
    "coin_id": "p.provider[1][2]",
    **{name: f"p.{name}" for name in (*_FIGURES, "sources_used", "price_spread_pct", *_TIMES)},
}
_ALWAYS = {"sources": "p.sources", "confidence": "p.confidence"}


def _update(new: Mapping[str, str], where: str) -> str:
    values = {column: value for column, value in new.items() if column not in _TIMES}
    assigned = ", ".join(f"{column} = {value}" for column, value in new.items())
    return f"""
  update assets a set {assigned},
    updated_at = case when {_differ(values)} then now() else a.updated_at end
  from published p where a.asset_id = p.asset_id and {where} and {_differ(new)}
"""  # noqa: S608 - put together from constants


def _differ(new: Mapping[str, str]) -> str:
    old = ", ".join(f"a.{column}" for column in new)
    return f"({old}) is distinct from ({', '.join(new.values())})"


# A held asset keeps what was published before its move.
_HELD = f"held as ({_update(_ALWAYS, 'p.all_held')})"
_UPDATE = _update(_PUBLISHED | _ALWAYS, "not p.all_held")


# What an asset goes by from now on is said by whoever knows what a ticker may hold.
def _displayed(*, grouped: bool) -> str:
    first = "distinct on (asset_id)" if grouped else ""
    order = "order by asset_id, precedence, source, external_id" if grouped else ""
    return f"""
  select * from (
    select {first} asset_id, symbol, name, ticker, shown from decided {order}
  ) d where upper(symbol) <> ticker or name <> shown
"""  # noqa: S608 - put together from constants


def _statement(*parts: str, grouped: bool) -> TextClause:
    steps = (_ITEMS, *parts, _EXPLAINED, _HELD, f"written as ({_UPDATE})")
    return text(f"with {', '.join(steps)} {_displayed(grouped=grouped)}")


SEVERAL = _statement(
    _voices(
        Several(" over asset"),
        "row_number() over (partition by asset_id, source"
        " order by observed_at desc, external_id) > 1",
    ),
    _MEASURED,
    _judged(Several(" over asset")),
    _priced(Several(), grouped=True),
    _published(Several(), grouped=True),
    grouped=True,
)
"""Decides about assets whatever the number of their observations."""
ALONE = _statement(
    _voices(Alone(), "false"),
    _UNMEASURED,
    _judged(Alone()),
    _priced(Alone(), grouped=False),
    _published(Alone(), grouped=False),
    grouped=False,
)
"""Decides the same about assets with one observation each."""
