"""Assets come and go: founding, naming, moving items between them, closing empty ones."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.orm import Session

from tasks.domain.identity import ItemFacts, ItemKey
from tasks.store import arrays, tickers

_DEFER = text("set constraints uq_assets_slug_id, uq_assets_wire_id deferred")
_CHECK = text("set constraints uq_assets_slug_id, uq_assets_wire_id immediate")

# For rows ``asked (slug_id, ticker, name, rank, place)``, in the order of their places. An asset
# keeps its id when the item that named it is taken away; the item's next one is numbered. A new one
# owns its ticker if nobody does, so that most need no decision about it afterwards. The numbers are
# drawn first, for nothing would tell the planner how to find so many rows again.
_FOUNDING = """
    named as materialized (
      select p.*, nextval('assets_asset_id_seq') asset_id, p.slug_id || case
          when exists (select from assets a where a.slug_id = p.slug_id)
          then '.' || nextval('assets_asset_id_seq') else '' end own_id
      from (
        select n.*, row_number() over (partition by n.ticker order by n.place) = 1
          and not exists (select from assets a where a.wire_id = n.ticker) owns
        from asked n order by n.place
      ) p
    ), founded as (
      insert into assets (asset_id, wire_id, owner_since, slug_id, ticker, name, {columns})
      overriding system value
      select asset_id, case when owns then ticker else own_id end, case when owns then now() end,
        own_id, ticker, name, {values}
      from named
    )"""


def founding(figures: Mapping[str, str]) -> str:
    """Return the parts of a statement that give every row of ``asked`` an asset of its own.

    Args:
        figures: Further columns, and what of the row goes into each: what the consensus is most
            likely to decide, so that the row seldom has to be written again.
    """
    return _FOUNDING.format(columns=", ".join(figures), values=", ".join(figures.values()))


_FOUND = text(
    f"""
    with asked as (
      select * from unnest(cast(:slug_ids as text[]), cast(:tickers as text[]),
        cast(:names as text[]), cast(:ranks as int[]))
        with ordinality as n (slug_id, ticker, name, rank, place)
    ), {founding({"rank": "rank"})}
    select slug_id, asset_id from named
    """  # noqa: S608 - put together from constants
)

_MANY = 1_000
# A session plans once how it checks that the asset of a new link is there. A plan made when there
# were a few assets would read them all for each link, and five thousand took a second. And before
# the first statistics the planner takes each asset for one with hundreds of quotes.
_KNOWN_ROWS = text("select reltuples from pg_class where oid = cast('assets' as regclass)")
_ANALYSE = text("set local default_statistics_target = 10; analyze assets, asset_links, quotes")

# The id that was shown goes along: whoever owns the bare ticker keeps it until owners are decided.
# One that an asset keeps whose item has left it is given to no other: the item's next is numbered.
_RENAME = text(
    """
    with asked as (
      select a.asset_id, a.slug_id former, n.slug_id, exists (select from assets o
          where o.slug_id = n.slug_id and o.asset_id <> n.asset_id
          and o.asset_id <> all(cast(:ids as bigint[]))
          and o.asset_id <> all(cast(:empty as bigint[]))) taken
      from unnest(cast(:ids as bigint[]), cast(:slug_ids as text[])) as n (asset_id, slug_id)
      join assets a on a.asset_id = n.asset_id
    ), named as (
      select asset_id, case when not taken then slug_id
        when starts_with(former, slug_id || '.')
          and substr(former, length(slug_id) + 2) ~ '^[0-9]+$' then former
        else slug_id || '.' || nextval(pg_get_serial_sequence('assets', 'asset_id')) end slug_id
      from asked where former <> slug_id
    )
    update assets a set slug_id = n.slug_id,
      wire_id = case when a.wire_id = a.slug_id then n.slug_id else a.wire_id end
    from named n where a.asset_id = n.asset_id and a.slug_id <> n.slug_id
    """
)

_MOVE = (
    """
    update quotes q set asset_id = m.to_id
    from unnest(cast(:sources as text[]), cast(:external_ids as text[]), cast(:to_ids as bigint[]))
      as m (source, external_id, to_id)
    where q.source = m.source and q.external_id = m.external_id
    """,
    """
    update quote_history h set asset_id = m.to_id
    from unnest(cast(:sources as text[]), cast(:external_ids as text[]),
      cast(:from_ids as bigint[]), cast(:to_ids as bigint[]))
      as m (source, external_id, from_id, to_id)
    where h.asset_id = m.from_id and h.source = m.source and h.external_id = m.external_id
    """,
    # What was published rested on other items; a difference from it is no move of the price.
    """
    update assets set price_usd = null
    where asset_id = any(:from_ids) or asset_id = any(:to_ids)
    """,
    """
    insert into audit_log (actor, action, subject, request_id, detail)
    select :actor, 'asset_link.moved', m.source || '/' || m.external_id, :request_id,
      jsonb_build_object('from', m.from_id, 'from_slug_id', f.slug_id, 'to', m.to_id)
    from unnest(cast(:sources as text[]), cast(:external_ids as text[]),
      cast(:from_ids as bigint[]), cast(:to_ids as bigint[]))
      as m (source, external_id, from_id, to_id)
    left join assets f on f.asset_id = m.from_id
    """,
)

# News of an asset that is no more are news of the one its items went to.
_FOLLOW = text(
    """
    insert into news_assets (news_id, asset_id, score, mention)
    select distinct on (n.news_id, m.to_id) n.news_id, m.to_id, n.score, n.mention
    from unnest(cast(:from_ids as bigint[]), cast(:to_ids as bigint[])) as m (from_id, to_id)
    join news_assets n on n.asset_id = m.from_id
    where m.from_id = any(:empty)
    order by n.news_id, m.to_id, n.score desc
    on conflict do nothing
    """
)
_CLOSE = text(
    """
    delete from assets a where a.asset_id = any(:empty)
    and not exists (select from asset_links l where l.asset_id = a.asset_id)
    returning ticker
    """
)

_GONE = text(
    """
    select gone_id from unnest(cast(:ids as bigint[])) i (gone_id)
    where not exists (select from assets a where a.asset_id = gone_id)
    """
)


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """An item that leaves an asset for another."""

    item: ItemKey
    from_asset: int
    to_asset: int


def defer_names(session: Session) -> None:
    """Let ids pass from one asset to another over several statements; see :func:`check_names`."""
    session.execute(_DEFER)


def check_names(session: Session) -> None:
    """Check that every id belongs to one asset, now and from now on."""
    session.execute(_CHECK)


def found(session: Session, founders: Sequence[ItemFacts]) -> dict[ItemKey, int]:
    """Make an asset for each of these items.

    Returns:
        The new asset of each item.
    """
    slug_ids = {item.slug_id: item.key for item in founders}
    rows = session.execute(
        _FOUND,
        {
            "slug_ids": arrays.texts(slug_ids),
            "tickers": arrays.texts(item.ticker for item in founders),
            "names": arrays.texts(item.name for item in founders),
            "ranks": [item.rank for item in founders],
        },
    )
    founded = {slug_ids[slug_id]: asset_id for slug_id, asset_id in rows}
    plan_anew(session, len(founded))
    return founded


def plan_anew(session: Session, new: int) -> None:
    """Have statements planned anew if there are more new assets than the planner knows."""
    if new >= _MANY and new > session.scalar(_KNOWN_ROWS):
        session.execute(_ANALYSE)


def rename(session: Session, naming: Iterable[tuple[int, ItemFacts]], empty: Sequence[int]) -> None:
    """Give assets the slugs of the items that now name them.

    Args:
        session: Of the caller's transaction.
        naming: Each asset with its item.
        empty: Assets that will be removed, and free theirs.
    """
    pairs = [(asset_id, item.slug_id) for asset_id, item in naming]
    parameters = {
        "ids": arrays.numbers(asset_id for asset_id, _ in pairs),
        "slug_ids": arrays.texts(slug_id for _, slug_id in pairs),
        "empty": arrays.numbers(empty),
    }
    session.execute(_RENAME, parameters)


def move(
    session: Session, moves: Sequence[Move], *, actor: str, request_id: str | None = None
) -> None:
    """Carry what was observed of items over to their new assets, and write it down.

    Their links are the caller's business; so are assets left without any (see :func:`close`).
    """
    parameters = _parameters(moves) | {"actor": actor, "request_id": request_id}
    for statement in _MOVE:
        session.execute(text(statement), parameters)


def close(session: Session, empty: Sequence[int], moves: Sequence[Move]) -> list[int]:
    """Remove those of these assets that no item is linked to any more.

    Their news move along, and their tickers pass to the next asset.

    Returns:
        The assets that won a ticker by that.
    """
    session.execute(_FOLLOW, _parameters(moves) | {"empty": list(empty)})
    orphaned = set(session.scalars(_CLOSE, {"empty": list(empty)}))
    return tickers.decide_owners(session, (), orphaned)


def gone(session: Session, asset_ids: Iterable[int]) -> frozenset[int]:
    """Return those of these assets that are no more."""
    return frozenset(session.scalars(_GONE, {"ids": list(asset_ids)}))


def _parameters(moves: Sequence[Move]) -> dict[str, Any]:
    return {
        "sources": [move.item[0] for move in moves],
        "external_ids": [move.item[1] for move in moves],
        "from_ids": [move.from_asset for move in moves],
        "to_ids": [move.to_asset for move in moves],
    }
