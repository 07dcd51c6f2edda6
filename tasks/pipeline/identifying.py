"""What operators say about identity: which asset an item is, and the map of known ids."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy.orm import Session

from tasks.core.errors import InvalidInputError
from tasks.domain.id_maps import KnownId
from tasks.domain.identity import ItemKey
from tasks.pipeline import trust
from tasks.pipeline.dependencies import Dependencies
from tasks.store import audit, consensus, decisions, known_ids, links, publication, versions
from tasks.store.audit import Actor
from tasks.store.consensus import SourcePolicy


class Link(NamedTuple):
    """An item's link as it stands.

    Attributes:
        id: The asset's id on the wire.
    """

    source: str
    external_id: str
    asset_id: int
    id: str
    method: str
    confidence: Decimal
    status: str
    decided_by: str
    decided_at: datetime


class Mapped(NamedTuple):
    """What a map of known ids did.

    Attributes:
        ids: Ids in the map.
        changed: Those that were not in it before or are not any more, or have other twins.
        moved: Items that changed their asset.
        refused: Ids, as ``source/external_id``, that stay apart from their twins because an
            operator's link says so.
    """

    ids: int
    changed: int
    moved: int
    refused: list[str]


def link(
    dependencies: Dependencies,
    item: ItemKey,
    asset: int | str | None,
    *,
    actor: Actor,
    reason: str | None = None,
) -> Link:
    """Say which asset an item is, and publish what follows from it.

    Args:
        dependencies: Of this process.
        item: Of a source of quotes.
        asset: Its number or its id on the wire; None for an asset that is the item's own.
        actor: Who decides.
        reason: In the operator's words.

    Raises:
        InvalidInputError: If there is no such source.
        NotFoundError: If the item was never loaded, or there is no such asset.
        ConflictError: If an operator has linked it to another asset.
    """
    trusted = trust.policies(dependencies)
    _require(item[0], trusted)
    with dependencies.transaction() as session:
        decision = decisions.decide(
            session,
            item,
            asset,
            actor=actor,
            reason=reason,
            precedence=_precedence(trusted),
        )
        _publish(session, trusted, decision)
        return _link(session, item)


def unlink(dependencies: Dependencies, item: ItemKey, *, actor: Actor) -> Link:
    """Take an operator's link back, and publish what follows from it.

    Raises:
        NotFoundError: If the item was never loaded.
        ConflictError: If its link is not an operator's.
    """
    trusted = trust.policies(dependencies)
    with dependencies.transaction() as session:
        decision = decisions.release(session, item, actor=actor, precedence=_precedence(trusted))
        _publish(session, trusted, decision)
        return _link(session, item)


def map_ids(dependencies: Dependencies, known: Sequence[KnownId], *, actor: Actor) -> Mapped:
    """Replace the map of known ids, and decide anew about the items that are not as it says.

    Args:
        dependencies: Of this process.
        known: The whole map; what is not in it is not known any more.
        actor: Whose map it is.
    """
    trusted = trust.policies(dependencies)
    with dependencies.transaction() as session:
        links.lock(session)
        replaced = known_ids.replace(session, known, precedence=_precedence(trusted))
        _publish(session, trusted, replaced.decision)
        mapped = Mapped(len(known), replaced.changed, replaced.moved, known_ids.refused(session))
        audit.add(session, actor, "id_map.replaced", "id_map", mapped._asdict())
    return mapped


def _require(source: str, trusted: Mapping[str, SourcePolicy]) -> None:
    if source not in trusted:
        raise InvalidInputError(
            f"There is no source of quotes {source!r}; enabled are {', '.join(trusted)}.",
            field="source",
        )


def _precedence(trusted: Mapping[str, SourcePolicy]) -> dict[str, int]:
    return {name: policy.precedence for name, policy in trusted.items()}


def _publish(
    session: Session, trusted: Mapping[str, SourcePolicy], decision: decisions.Decision
) -> None:
    if not decision.changed and not decision.closed:
        return
    published = consensus.refresh(session, asset_ids=decision.changed, policies=trusted)
    publication.append(session, published, closed=decision.closed)
    versions.bump(session, "data", added_rows=decision.founded - len(decision.closed))
    if decision.closed:
        versions.bump(session, "news")  # they are now news of the asset the items went to


def _link(session: Session, item: ItemKey) -> Link:
    row = decisions.link(session, item)
    return Link(
        id=row.wire_id, **{name: getattr(row, name) for name in Link._fields if name != "id"}
    )
