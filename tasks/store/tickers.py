"""Which asset of a ticker owns its bare form, and what an asset is called."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from tasks.domain import consensus as rules
from tasks.domain import names
from tasks.store import arrays

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
    with asked as materialized (
      select unnest(cast(:tickers as text[])) ticker
      union select a.ticker
      from unnest(cast(:ids as bigint[])) i (asset_id) join assets a using (asset_id)
    ), candidates as (
      select asset_id, ticker, slug_id, wire_id, market_cap_usd, rank,
        coalesce(wire_id = ticker and owner_since < now() - cast(:settled_after as interval), false)
          settled
      from assets join asked using (ticker)
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
    """An asset whose first source calls it something else than we do.

    Attributes:
        ticker: What it goes by now.
        former: The ticker it had.
    """

    asset_id: int
    ticker: str
    name: str
    former: str


def renamed(displayed: Iterable[Row[Any]]) -> list[Renamed]:
    """Return the assets that go by another ticker or name now.

    Args:
        displayed: Rows ``(asset_id, symbol, name, ticker, shown)`` of assets that may: what their
            first source says, and the ticker and name they have.
    """
    # The database knows upper case, but not what a ticker may hold: exotic symbols come here each
    # time and are found to be what they were.
    called = ((row, names.ticker(row.symbol)) for row in displayed)
    return [
        Renamed(row.asset_id, ticker, row.name, row.ticker)
        for row, ticker in called
        if (ticker, row.name) != (row.ticker, row.shown)
    ]


def rename(session: Session, renamed: Sequence[Renamed]) -> set[str]:
    """Show the new tickers and names; ids stay until their owners are decided.

    Returns:
        The tickers whose ownership may change.
    """
    if not renamed:
        return set()
    coming = [entry.ticker for entry in renamed]
    parameters = {
        "ids": [entry.asset_id for entry in renamed],
        "tickers": coming,
        "names": [entry.name for entry in renamed],
    }
    session.execute(_RENAME, parameters)
    return {*coming, *(entry.former for entry in renamed)}


def decide_owners(
    session: Session, asset_ids: Sequence[int], tickers: Collection[str] = ()
) -> list[int]:
    """Give each ticker's bare form to its best asset: market cap, then rank, then age.

    Args:
        session: Of a transaction that holds identity.
        asset_ids: Assets whose tickers are decided about.
        tickers: Further ones.

    Returns:
        The assets that go by another id now.
    """
    parameters = {
        "ids": arrays.numbers(asset_ids),
        "tickers": arrays.texts(sorted(tickers)),
        "settled_after": rules.OWNER_SETTLED_AFTER,
        "factor": rules.OWNER_FACTOR,
    }
    return list(session.scalars(_DECIDE, parameters))
