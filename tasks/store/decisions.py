"""What an operator decides about identity: it outlives every run and is written down."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from tasks.core.errors import ConflictError, NotFoundError
from tasks.store import assets, linking, links
from tasks.store.assets import Move

_LINK = text(
    """
    select l.*, k.key known from asset_links l left join known_ids k using (source, external_id)
    where l.source = :source and l.external_id = :external_id
    """
)
_ASSET = text("select asset_id from assets where asset_id = :asset_id for update")
_DECIDE = text(
    """
    update asset_links set asset_id = :asset_id, method = 'operator', confidence = 1,
      status = 'linked', decided_by = :actor, decided_at = now()
    where source = :source and external_id = :external_id
    """
)
# Who decides that an item is what an asset's items are, decides that those are settled too.
_SETTLE = text(
    "update asset_links set settles_at = least(settles_at, now()) where asset_id = :asset_id"
)
_FORGET = text("delete from asset_links where source = :source and external_id = :external_id")
_IS_SHARED = text("select exists (select from asset_links where asset_id = :asset_id)")
_AUDIT = text(
    """
    insert into audit_log (actor, action, subject, request_id, detail)
    values (:actor, :action, :source || '/' || :external_id, :request_id,
      jsonb_build_object('asset_id', cast(:asset_id as bigint)))
    """
)


def decide(
    session: Session,
    *,
    source: str,
    external_id: str,
    asset_id: int,
    actor: str,
    request_id: str | None = None,
) -> list[int]:
    """Say that an item is this asset; no rule moves it afterwards.

    Returns:
        The assets whose consensus is to be refreshed, ascending.

    Raises:
        NotFoundError: If the item was never loaded, or there is no such asset.
    """
    links.lock(session)
    item = {"source": source, "external_id": external_id}
    before = _link(session, item)
    if session.scalar(_ASSET, {"asset_id": asset_id}) is None:
        raise NotFoundError(f"There is no asset {asset_id}.", asset_id=asset_id)
    session.execute(_DECIDE, item | {"asset_id": asset_id, "actor": actor})
    session.execute(_SETTLE, {"asset_id": asset_id})
    note = {"actor": actor, "request_id": request_id, "asset_id": asset_id}
    session.execute(_AUDIT, item | note | {"action": "asset_link.decided"})
    return _follow(session, before, asset_id, actor=actor, request_id=request_id)


def release(
    session: Session,
    *,
    source: str,
    external_id: str,
    actor: str,
    precedence: Mapping[str, int] | None = None,
    request_id: str | None = None,
) -> list[int]:
    """Take an operator's decision back: the item is placed as if it had just been seen.

    Returns:
        The assets whose consensus is to be refreshed, ascending.

    Raises:
        NotFoundError: If the item was never loaded.
        ConflictError: If its link is not an operator's.
    """
    links.lock(session)
    item = {"source": source, "external_id": external_id}
    before = _link(session, item)
    if before.method != "operator":
        raise ConflictError(f"{source}/{external_id} was not linked by an operator.")
    note = {"actor": actor, "request_id": request_id, "asset_id": before.asset_id}
    session.execute(_AUDIT, item | note | {"action": "asset_link.released"})
    session.execute(_FORGET, item)
    outcome = linking.resolve(session, [links.facts(before, source)], precedence=precedence)
    after = _link(session, item).asset_id
    changed = _follow(session, before, after, actor=actor, request_id=request_id)
    return sorted({*changed, *outcome.changed_assets})


def _link(session: Session, item: Mapping[str, str]) -> Row[Any]:
    row = session.execute(_LINK, item).one_or_none()
    if row is None:
        raise NotFoundError("{source}/{external_id} was never loaded.".format(**item))
    return row


def _follow(
    session: Session, before: Row[Any], asset_id: int, *, actor: str, request_id: str | None
) -> list[int]:
    if before.asset_id == asset_id:
        return [asset_id]
    key = (before.source, before.external_id)
    moves = [Move(item=key, from_asset=before.asset_id, to_asset=asset_id)]
    assets.move(session, moves, actor=actor, request_id=request_id)
    changed = {asset_id, *assets.close(session, [before.asset_id], moves)}
    if session.scalar(_IS_SHARED, {"asset_id": before.asset_id}):
        changed.add(before.asset_id)
    return sorted(changed)
