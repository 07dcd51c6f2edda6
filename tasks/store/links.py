"""The rows of ``asset_links``: what is known of items, and what the resolver decides about them."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

from tasks.domain.identity import Evidence, ItemFacts, ItemKey
from tasks.domain.resolution import Member
from tasks.store import arrays, copying
from tasks.store.database import HIDDEN_SOURCE

SETTLING = "7 days"
"""How long the arrival of a rival may still move an item; see docs/adr/0020-identity.md."""
SCAN_FROM = 1000
"""From so many keys on, one pass over all links is faster than looking the keys up."""

# One lock for the whole of identity and what rests on it: whoever writes to assets takes turns. The
# number is arbitrary. See docs/adr/0013-loads-take-turns.md.
_LOCK = text("select pg_advisory_xact_lock(7202611)")
_LOCK_SHARED = text("select pg_advisory_xact_lock_shared(7202611)")

_UNKNOWN = f"""
    from staged_quotes s
    where s.run_id = :run_id and s.page = any(:pages) and not exists (
      select from asset_links l
      where l.source = {HIDDEN_SOURCE} and l.external_id = s.external_id)
"""
_COUNT_UNKNOWN = text(f"select count(*) {_UNKNOWN}")
_STAGED_ASSETS = text(
    f"""
    select distinct l.asset_id from staged_quotes s
    left join asset_links l on l.source = {HIDDEN_SOURCE} and l.external_id = s.external_id
    where s.run_id = :run_id and s.page = any(:pages) order by 1
    """  # noqa: S608 - put together from constants
)
# An item's newest observation says what it is.
NEWEST_UNKNOWN = f"""
    select distinct on (s.external_id) s.*
    {_UNKNOWN}
    order by s.external_id, s.observed_at desc, s.page desc, s.item desc
"""
_READ_UNKNOWN = text(
    f"""
    select u.external_id, u.symbol, u.name, u.rank, u.price_usd, u.observed_at, u.contracts,
      k.key known
    from ({NEWEST_UNKNOWN}) u
    left join known_ids k on k.source = {HIDDEN_SOURCE} and k.external_id = u.external_id
    """  # noqa: S608 - put together from constants
)

# An item that may still move is judged by its facts as first seen, so that the outcome does not
# depend on when it is judged; a settled one by its newest price, which newcomers are compared to.
_READ_KNOWN = """
    select l.source, l.external_id, l.symbol, l.name, l.rank, l.contracts, k.key known,
      case when l.settles_at > now() then l.price_usd else q.price_usd end price_usd,
      case when l.settles_at > now() then l.observed_at else q.observed_at end observed_at,
      case when l.settles_at <= now() then l.asset_id end settled_asset,
      l.asset_id, l.method, l.status, l.confidence
    from asset_links l
    left join quotes q on l.settles_at <= now()
      and q.source = l.source and q.external_id = l.external_id
    left join known_ids k on k.source = l.source and k.external_id = l.external_id
"""
# Many keys become a hash table that each link is held against.
_READ_BY_MANY_KEYS = text(
    f"{_READ_KNOWN} where exists"
    " (select from unnest(l.keys) key where key = any(cast(:keys as text[])))"
)
_READ_BY_KEYS = text(f"{_READ_KNOWN} where l.keys && cast(:keys as text[])")
_READ_BY_ASSETS = text(f"{_READ_KNOWN} where l.asset_id = any(cast(:assets as bigint[]))")

_COLUMNS = (
    "source",
    "external_id",
    "asset_id",
    "method",
    "confidence",
    "evidence",
    "status",
    "identity_key",
    "slug_id",
    "symbol",
    "name",
    "rank",
    "price_usd",
    "observed_at",
    "contracts",
    "keys",
    "settles_at",
)
_SETTLES_AT = text(f"select now() + interval '{SETTLING}'")
_UPDATE = text(
    """
    update asset_links l set asset_id = n.asset_id, method = n.method, confidence = n.confidence,
      evidence = n.evidence, status = n.status, decided_at = now()
    from unnest(cast(:source as text[]), cast(:external_id as text[]), cast(:asset_id as bigint[]),
      cast(:method as text[]), cast(:confidence as numeric[]), cast(:evidence as jsonb[]),
      cast(:status as text[]))
      as n (source, external_id, asset_id, method, confidence, evidence, status)
    where l.source = n.source and l.external_id = n.external_id
    """
)


_ENCODER = msgspec.json.Encoder(decimal_format="number")


class Known(NamedTuple):
    """An item with a link: its facts and where it is."""

    facts: ItemFacts
    asset_id: int
    method: str
    status: str
    confidence: Decimal


def lock(session: Session) -> None:
    """Hold identity: nobody else founds, moves or prices an asset until the transaction ends."""
    session.execute(_LOCK)


def lock_shared(session: Session) -> None:
    """Rely on assets to stay until the transaction ends; others may do so, too."""
    session.execute(_LOCK_SHARED)


def staged_assets(
    session: Session, source: str, run_id: UUID, pages: Sequence[int]
) -> list[int] | None:
    """Return the assets of the staged observations, ascending; None if an item has no link."""
    assets = list(session.scalars(_STAGED_ASSETS, staged(source, run_id, pages)))
    return None if None in assets[-1:] else assets  # nulls come last


def count_unknown(session: Session, source: str, run_id: UUID, pages: Sequence[int]) -> int:
    """Return how many staged observations are of items without a link."""
    count: int = session.scalars(_COUNT_UNKNOWN, staged(source, run_id, pages)).one()
    return count


def read_unknown(
    session: Session, source: str, run_id: UUID, pages: Sequence[int]
) -> list[ItemFacts]:
    """Return the staged items that have no link yet."""
    rows = session.execute(_READ_UNKNOWN, staged(source, run_id, pages))
    return [facts(row, source) for row in rows]


def read_related(session: Session, items: Iterable[ItemFacts]) -> dict[ItemKey, Known]:
    """Return every known item that can bear on where these belong.

    That is whoever shares a key with them or with an item that may still move, and the rivals of
    those; a settled item's rivals matter only if something may still be joined to it.
    """
    found: dict[ItemKey, Known] = {}
    wanted = {key for item in items for key in item.keys}
    hot = set(wanted)
    asked: set[str] = set()
    while asking := wanted - asked:
        statement = _READ_BY_MANY_KEYS if len(asking) >= SCAN_FROM else _READ_BY_KEYS
        found.update(_read(session, statement, {"keys": arrays.texts(asking)}))
        asked |= asking
        hot |= _keys(known.facts for known in found.values() if known.facts.asset is None)
        wanted = hot | _keys(known.facts for known in found.values() if known.facts.keys & hot)
    assets = {known.asset_id for known in found.values() if known.facts.asset is not None}
    found.update(_read(session, _READ_BY_ASSETS, {"assets": arrays.numbers(assets)}))
    return found


def facts(row: Row[Any], source: str, settled_asset: int | None = None) -> ItemFacts:
    """Return the facts of an item from a row that has them."""
    return ItemFacts(
        source=source,
        external_id=row.external_id,
        symbol=row.symbol,
        name=row.name,
        rank=row.rank,
        price_usd=row.price_usd,
        observed_at=row.observed_at,
        contracts=row.contracts,
        known=row.known,
        asset=settled_asset,
    )


def insert(session: Session, members: Iterable[tuple[Member, int]]) -> None:
    """Write links of new items to their assets."""
    settles_at = session.scalar(_SETTLES_AT)
    rows = (
        (*_decision(member, asset), *_first_seen(member.facts), settles_at)
        for member, asset in members
    )
    copying.copy(session, "asset_links", _COLUMNS, rows)


def update(session: Session, members: Iterable[tuple[Member, int]]) -> None:
    """Write decisions about known items anew."""
    decisions = zip(*(_decision(member, asset) for member, asset in members), strict=True)
    session.execute(_UPDATE, dict(zip(_COLUMNS, map(list, decisions), strict=False)))


def status(member: Member) -> str:
    """Return ``unresolved`` for an item with likely twins it was not linked to."""
    return "unresolved" if member.candidates else "linked"


def _keys(items: Iterable[ItemFacts]) -> set[str]:
    return {key for item in items for key in item.keys}


def _read(
    session: Session, statement: TextClause, parameters: Mapping[str, Any]
) -> dict[ItemKey, Known]:
    rows = session.execute(statement, parameters)
    return {(row.source, row.external_id): _known(row) for row in rows}


def _known(row: Row[Any]) -> Known:
    return Known(
        facts(row, row.source, row.settled_asset),
        row.asset_id,
        row.method,
        row.status,
        row.confidence,
    )


def staged(source: str, run_id: UUID, pages: Sequence[int]) -> dict[str, object]:
    """Return the parameters of statements about staged pages."""
    return {"source": source, "run_id": run_id, "pages": list(pages)}


def _decision(member: Member, asset_id: int) -> tuple[Any, ...]:
    """Return the first values of :data:`_COLUMNS`."""
    return (
        member.facts.source,
        member.facts.external_id,
        asset_id,
        member.method,
        member.confidence,
        _evidence(member),
        status(member),
    )


def _first_seen(item: ItemFacts) -> tuple[Any, ...]:
    """Return the values of :data:`_COLUMNS` that follow, but the last."""
    return (
        item.identity_key,
        item.slug_id,
        item.symbol,
        item.name,
        item.rank,
        item.price_usd,
        item.observed_at,
        item.contracts,
        arrays.texts(sorted(item.keys)),
    )


def _evidence(member: Member) -> str:
    found: dict[str, Any] = {}
    if member.twin and member.evidence:
        found = {"twin": _twin(member.twin, member.evidence)}
    if member.candidates:
        found["candidates"] = [_twin(*candidate) for candidate in member.candidates]
    return _ENCODER.encode(found).decode() if found else "{}"


def _twin(key: ItemKey, evidence: Evidence) -> dict[str, Any]:
    ratio = evidence.price_ratio
    return {
        "source": key[0],
        "external_id": key[1],
        "score": evidence.score,
        "agrees": evidence.agrees,
        "price_ratio": None if ratio is None else Decimal(f"{ratio:.4g}"),
    }
