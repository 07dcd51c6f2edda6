"""What an operator decides about identity: it outlives every run and is written down."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from tasks.core.errors import ConflictError, NotFoundError
from tasks.domain.identity import ItemKey
from tasks.store import assets, audit, linking, links, reopening
from tasks.store.assets import Move
from tasks.store.audit import Actor
from tasks.store.linking import LinkOutcome

_LINK = text(
    """
    select l.*, k.key known, a.wire_id from asset_links l
    join assets a on a.asset_id = l.asset_id
    left join known_ids k on k.source = l.source and k.external_id = l.external_id
    where l.source = :source and l.external_id = :external_id
    """
)
_ASSET = text("select asset_id from assets where asset_id = :asset")
_ASSET_CALLED = text(
    """
    select asset_id from assets where wire_id in (:asset, upper(:asset)) or slug_id = :asset
      or asset_id = (select asset_id from asset_links where slug_id = :asset)
    order by (wire_id = :asset) desc, (slug_id = :asset) desc limit 1
    """
)
_DECIDE = text(
    """
    update asset_links set asset_id = :asset_id, method = 'operator', confidence = 1,
      status = 'linked', decided_by = :actor, decided_at = now()
    where source = :source and external_id = :external_id
    """
)
# Who decides what an item is, decides that it is not what it was taken for or could be: none of
# that moves any more, or the resolver would bring it all together again.
_SETTLE = text(
    """
    update asset_links set settles_at = least(settles_at, now())
    where asset_id in (:asset_id, :former_id) or (source, external_id) in (
      select c->>'source', c->>'external_id'
      from asset_links l, jsonb_array_elements(l.evidence->'candidates') c
      where l.source = :source and l.external_id = :external_id)
    """
)
_COUNT = text("select count(*) from asset_links where asset_id = :asset_id")


class Decision(NamedTuple):
    """What a decision did.

    Attributes:
        changed: The assets whose consensus is to be refreshed, ascending.
        closed: The assets that were removed, because no item was left in them.
        founded: How many were made.
    """

    changed: list[int]
    closed: list[int]
    founded: int


def link(session: Session, item: ItemKey) -> Row[Any]:
    """Return an item's link, with the id its asset has on the wire.

    Raises:
        NotFoundError: If the item was never loaded.
    """
    row = session.execute(_LINK, _parameters(item)).one_or_none()
    if row is None:
        raise NotFoundError(f"{'/'.join(item)} was never loaded.")
    return row


def decide(
    session: Session,
    item: ItemKey,
    asset: int | str | None,
    *,
    actor: Actor,
    reason: str | None = None,
    precedence: Mapping[str, int] | None = None,
) -> Decision:
    """Say which asset an item is; no rule moves it afterwards.

    Its rivals that may still move are decided anew, now that it is out of the question. To decide
    the same again changes nothing.

    Args:
        session: Of the caller's transaction.
        item: An item that was loaded.
        asset: Its number or its id on the wire; None for an asset that is the item's own.
        actor: Who decides.
        reason: In the operator's words.
        precedence: Of sources; lower names an asset.

    Raises:
        NotFoundError: If the item was never loaded, or there is no such asset.
        ConflictError: If an operator has linked it to another asset.
    """
    links.lock(session)
    before = link(session, item)
    wanted = _wanted(session, before, asset)
    if before.method == "operator":
        _refuse_another(before, wanted)
        return Decision([], [], 0)
    asset_id = _found(session, before) if wanted is None else wanted
    decided = {"asset_id": asset_id, "former_id": before.asset_id, "actor": actor.name}
    session.execute(_DECIDE, _parameters(item) | decided)
    session.execute(_SETTLE, _parameters(item) | decided)
    detail = {"asset_id": asset_id, "from": before.asset_id, "reason": reason}
    audit.add(session, actor, "asset_link.decided", "/".join(item), detail)
    touched = _follow(session, before, asset_id, actor)
    around = [links.facts(before, before.source)]
    outcome = linking.resolve(session, [], around=around, precedence=precedence)
    return _decision(session, touched, outcome, int(wanted is None))


def release(
    session: Session,
    item: ItemKey,
    *,
    actor: Actor,
    precedence: Mapping[str, int] | None = None,
) -> Decision:
    """Take an operator's decision back: the item is placed by the evidence, as of today.

    Raises:
        NotFoundError: If the item was never loaded.
        ConflictError: If its link is not an operator's.
    """
    links.lock(session)
    before = link(session, item)
    if before.method != "operator":
        raise ConflictError(f"{'/'.join(item)} was not linked by an operator.")
    detail = {"asset_id": before.asset_id}
    audit.add(session, actor, "asset_link.released", "/".join(item), detail)
    outcome = reopening.reopen(session, [item], precedence=precedence)
    return _decision(session, {before.asset_id}, outcome, 0)


def _wanted(session: Session, before: Row[Any], asset: int | str | None) -> int | None:
    """Return the asset that is meant; None for one that is to be made."""
    if asset is None:
        is_alone = session.scalar(_COUNT, {"asset_id": before.asset_id}) == 1
        return before.asset_id if is_alone else None
    statement = _ASSET if isinstance(asset, int) else _ASSET_CALLED
    found: int | None = session.scalar(statement, {"asset": asset})
    if found is None:
        raise NotFoundError(f"There is no asset {asset!r}.")
    return found


def _refuse_another(before: Row[Any], wanted: int | None) -> None:
    if before.asset_id != wanted:
        raise ConflictError(
            f"{before.source}/{before.external_id} was linked to {before.wire_id} by "
            f"{before.decided_by}; take that back first."
        )


def _found(session: Session, before: Row[Any]) -> int:
    (asset_id,) = assets.found(session, [links.facts(before, before.source)]).values()
    return asset_id


def _follow(session: Session, before: Row[Any], asset_id: int, actor: Actor) -> set[int]:
    """Carry what was observed of the item over; return the assets that this changed."""
    if before.asset_id == asset_id:
        return {asset_id}
    item = (before.source, before.external_id)
    moves = [Move(item=item, from_asset=before.asset_id, to_asset=asset_id)]
    assets.move(session, moves, actor=actor.name, request_id=actor.request_id)
    return {before.asset_id, asset_id, *assets.close(session, [before.asset_id], moves)}


def _decision(session: Session, touched: set[int], outcome: LinkOutcome, founded: int) -> Decision:
    changed = touched | outcome.changed_assets
    closed = assets.gone(session, touched) | outcome.closed_assets
    return Decision(sorted(changed - closed), sorted(closed), founded + outcome.founded)


def _parameters(item: ItemKey) -> dict[str, Any]:
    return {"source": item[0], "external_id": item[1]}
