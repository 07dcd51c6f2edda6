"""Which news speak of which assets: read what both are, write what was found."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from tasks.domain.mention_names import NAME_RANK, Subject
from tasks.domain.mentions import Mention

# Where no source ranks anything (files alone), the place by market value stands for the rank.
_SUBJECTS = text(
    """
    select asset_id, ticker, name, standing, wire_id = ticker owns_ticker from (
      select a.*, case when bool_or(rank is not null) over () then rank
        when market_cap_usd > 0 then row_number() over (order by market_cap_usd desc nulls last)
        end standing
      from assets a
    ) ranked
    where wire_id = ticker or standing <= :name_rank
    """
)
_TEXTS = text("select news_id, title, summary from news where news_id = any(:ids)")
_RECENT = text(
    """
    select news_id from news
    where published_at > now() - make_interval(days => :days)
    order by published_at desc nulls last, news_id limit :limit
    """
)
_FOUND = """
    with found as (
      select * from unnest(cast(:news_ids as bigint[]), cast(:asset_ids as bigint[]),
        cast(:scores as numeric[]), cast(:texts as text[])) f (news_id, asset_id, score, mention)
    )
"""
_REMOVE = text(
    f"""
    {_FOUND}
    delete from news_assets n where n.news_id = any(:ids) and not exists (
      select from found f where f.news_id = n.news_id and f.asset_id = n.asset_id)
    """  # noqa: S608 - put together from constants
)
_WRITE = text(
    f"""
    {_FOUND}
    insert into news_assets as n (news_id, asset_id, score, mention)
    select news_id, asset_id, score, mention from found
    on conflict (news_id, asset_id) do update
      set score = excluded.score, mention = excluded.mention
    where (n.score, n.mention) is distinct from (excluded.score, excluded.mention)
    """  # noqa: S608 - put together from constants
)
_NEWEST_ASSET = text("select max(asset_id) from assets")
# The version of this topic is the newest asset that the links know.
_TAKE_TURN = text(
    """
    insert into data_versions as v (topic, version) values ('news_links', :newest)
    on conflict (topic) do update set version = excluded.version, changed_at = clock_timestamp()
    where v.version < excluded.version
    returning version
    """
)


class Entry(NamedTuple):
    """The texts of a news entry."""

    news_id: int
    title: str
    summary: str | None


def subjects(session: Session) -> list[Subject]:
    """Return the assets that news can be linked to."""
    rows = session.execute(_SUBJECTS, {"name_rank": NAME_RANK})
    return [Subject(*row) for row in rows]


def entries(session: Session, news_ids: Sequence[int]) -> list[Entry]:
    """Return the texts of these entries."""
    return [Entry(*row) for row in session.execute(_TEXTS, {"ids": list(news_ids)})]


def recent(session: Session, *, days: int, limit: int) -> list[int]:
    """Return the newest entries of the last days."""
    return list(session.scalars(_RECENT, {"days": days, "limit": limit}))


def replace(
    session: Session, news_ids: Sequence[int], found: Mapping[int, Iterable[Mention]]
) -> int:
    """Make these the links of these entries.

    Args:
        session: Of the caller's transaction, which keeps assets from being closed meanwhile.
        news_ids: The entries; those not in ``found`` lose their links.
        found: Mentions by entry.

    Returns:
        How many links were added, changed or removed.
    """
    rows = [(news_id, mention) for news_id, listed in found.items() for mention in listed]
    parameters = {
        "news_ids": [news_id for news_id, _ in rows],
        "asset_ids": [mention.asset_id for _, mention in rows],
        "scores": [mention.score for _, mention in rows],
        "texts": [mention.text for _, mention in rows],
    }
    removed = session.execute(_REMOVE, parameters | {"ids": list(news_ids)})
    written = session.execute(_WRITE, parameters)
    return removed.rowcount + written.rowcount  # type: ignore[attr-defined,no-any-return]


def take_turn(session: Session) -> bool:
    """Tell whether assets have come since this was last asked; if so, the turn is taken."""
    newest = session.scalar(_NEWEST_ASSET)
    if newest is None:
        return False
    return session.execute(_TAKE_TURN, {"newest": newest}).one_or_none() is not None
