"""Which asset of a ticker owns its bare form, and what an asset is called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from tasks.domain import consensus as rules
from tasks.domain import names
from tasks.store import arrays

_DISPLAYED = text(
    """
    select a.asset_id, d.symbol, d.name, a.ticker, a.name shown from (
      select distinct on (q.asset_id) q.asset_id, q.symbol, q.name
      from quotes q left join unnest(cast(:sources as text[]), cast(:precedences as int[]))
        as p (source, precedence) using (source)
      where q.asset_id in (select unnest(cast(:ids as bigint[])))
      order by q.asset_id, p.precedence nulls last, q.source, q.external_id
    ) d join assets a using (asset_id)
    where upper(d.symbol) <> a.ticker or d.name <> a.name
    """
)
# Lists are joined, not compared with: the planner would weigh each of thousands of constants.
_LOCK = text(
    """
    select a.ticker from assets a where a.ticker in (
      select ticker from assets join unnest(cast(:ids as bigint[])) i (asset_id) using (asset_id)
      union all select unnest(cast(:tickers as text[])))
    order by a.asset_id for no key update of a
    """
)
_RENAME = text(
    """
    update assets a set ticker = n.ticker, name = n.name, updated_at = now()
    from unnest(cast(:ids as bigint[]), cast(:tickers as text[]), cast(:names as text[]))
      as n (asset_id, ticker, name)
    where a.asset_id = n.asset_id
    """
)

# An ownership that has settled is challenged only by a clearly larger asset. Until then the order
# is a function of the assets alone, so that it does not matter which one was loaded first.
_DECIDE = text(
    """
    with candidates as (
      select asset_id, ticker, slug_id, wire_id, market_cap_usd, rank,
        coalesce(wire_id = ticker and owner_since < now() - cast(:settled_after as interval), false)
          settled
      from assets join unnest(cast(:tickers as text[])) t (ticker) using (ticker)
    ), decided as (
      select asset_id, wire_id, case when row_number() over (partition by ticker order by
        market_cap_usd * case when settled then :factor else 1 end desc nulls last,
        rank * case when settled then 1 else :factor end nulls last,
        settled desc, slug_id collate "C") = 1 then ticker else slug_id end earned, ticker
      from candidates
    )
    update assets a set wire_id = d.earned,
      owner_since = case when d.earned = d.ticker then now() end, updated_at = now()
    from decided d
    where a.asset_id = d.asset_id and d.wire_id <> d.earned
    returning a.asset_id
    """
)


@dataclass(frozen=True)
class Renamed:
    """An asset whose first source calls it something else than we do."""

    asset_id: int
    ticker: str
    name: str


def renamed(
    session: Session, asset_ids: Sequence[int], precedence: Mapping[str, int]
) -> list[Renamed]:
    """Return those of these assets that go by another ticker or name now."""
    rows = session.execute(
        _DISPLAYED,
        {
            "ids": arrays.numbers(asset_ids),
            "sources": list(precedence),
            "precedences": list(precedence.values()),
        },
    )
    # The database knows upper case, but not what a ticker may hold: exotic symbols come here each
    # time and are found to be what they were.
    called = ((row, names.ticker(row.symbol)) for row in rows)
    return [
        Renamed(row.asset_id, ticker, row.name)
        for row, ticker in called
        if (ticker, row.name) != (row.ticker, row.shown)
    ]


def lock(session: Session, asset_ids: Sequence[int], renamed: Sequence[Renamed]) -> set[str]:
    """Lock these assets and all that share a ticker with them, now or by their new name.

    Returns:
        The tickers whose ownership may change.
    """
    coming = [entry.ticker for entry in renamed]
    held = session.scalars(_LOCK, {"ids": arrays.numbers(asset_ids), "tickers": coming})
    return {*held, *coming}


def rename(session: Session, renamed: Sequence[Renamed]) -> None:
    """Show the new tickers and names; ids stay."""
    if not renamed:
        return
    parameters = {
        "ids": [entry.asset_id for entry in renamed],
        "tickers": [entry.ticker for entry in renamed],
        "names": [entry.name for entry in renamed],
    }
    session.execute(_RENAME, parameters)


def decide_owners(session: Session, tickers: set[str]) -> list[int]:
    """Give each ticker's bare form to its best asset: market cap, then rank, then age.

    Returns:
        The assets that go by another id now.
    """
    parameters = {
        "tickers": arrays.texts(sorted(tickers)),
        "settled_after": rules.OWNER_SETTLED_AFTER,
        "factor": rules.OWNER_FACTOR,
    }
    return list(session.scalars(_DECIDE, parameters))
