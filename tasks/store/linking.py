"""Give every item an asset: known ones by a look, unknown ones by weighing the evidence.

What may change once decided, and why, is in docs/adr/0020-identity.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.domain import placement, resolution
from tasks.domain.identity import ItemFacts, ItemKey
from tasks.domain.placement import Placement
from tasks.domain.resolution import Group, Member
from tasks.store import assets, founding, links
from tasks.store.assets import Move
from tasks.store.links import Known

_BUILTIN_PRECEDENCE = {"coingecko": 10, "coinpaprika": 20, "csv": 30}
"""Which source names an asset if the caller does not say."""
MANY = 1000
"""From so many unknown observations on, one pass over all links finds out which items meet nobody
sooner than looking at each."""


@dataclass(frozen=True, kw_only=True)
class LinkOutcome:
    """What linking a batch did.

    Attributes:
        observed_assets: Those of the batch's items, ascending.
        linked: Items seen for the first time.
        founded: Assets made for them.
        unresolved: Those of the items that have a likely twin they were not linked to.
        moved: Items known before that changed their asset.
        closed_assets: Assets left without any item, and removed.
        changed_assets: Assets that got or lost an item or won a ticker; their consensus is to be
            refreshed. Without those founded for items that meet nobody: these are staged.
    """

    observed_assets: Sequence[int] = ()
    linked: int = 0
    founded: int = 0
    unresolved: int = 0
    moved: int = 0
    closed_assets: frozenset[int] = frozenset()
    changed_assets: frozenset[int] = frozenset()


def link_staged(
    session: Session,
    *,
    source: str,
    run_id: UUID,
    pages: Sequence[int],
    precedence: Mapping[str, int] | None = None,
) -> LinkOutcome:
    """See to it that every staged quote of these pages has a row in ``asset_links``.

    Holds identity from here on (see :func:`tasks.store.links.lock`). A batch without unknown items
    costs a look at its links. Of many unknown ones, those that meet nobody are not weighed one by
    one.

    Args:
        session: Of the load's transaction, before it wrote anything else.
        source: Whose pages.
        run_id: The run they were staged in.
        pages: Their numbers.
        precedence: Of sources; lower names an asset.
    """
    staged = (session, source, run_id, pages)
    links.lock(session)
    observed = links.staged_assets(*staged)
    if observed is not None:
        return LinkOutcome(observed_assets=observed)
    alone = 0
    count = links.count_unknown(*staged)
    if count >= MANY:
        alone = founding.found_alone(*staged)
    unknown = links.read_unknown(*staged) if count > alone else []
    outcome = resolve(session, unknown, precedence=precedence) if unknown else LinkOutcome()
    observed = links.staged_assets(*staged)
    if observed is None:
        raise AssertionError("an item that was linked has no link")
    return replace(
        outcome,
        observed_assets=observed,
        linked=outcome.linked + alone,
        founded=outcome.founded + alone,
    )


def resolve(
    session: Session,
    unknown: Sequence[ItemFacts],
    *,
    around: Sequence[ItemFacts] = (),
    precedence: Mapping[str, int] | None = None,
) -> LinkOutcome:
    """Decide where unknown items belong, and anew where their rivals do that may still move.

    The caller holds the lock (see :func:`tasks.store.links.lock`).

    Args:
        session: Of the caller's transaction.
        unknown: Items without a link.
        around: Items with one whose neighbourhood is to be decided anew, too.
        precedence: Of sources; lower names an asset.
    """
    known = links.read_related(session, [*unknown, *around])
    items = [*unknown, *(entry.facts for entry in known.values())]
    groups = resolution.resolve(items, precedence=precedence or _BUILTIN_PRECEDENCE)
    current = {key: entry.asset_id for key, entry in known.items()}
    founded = {key: current[key] for key, entry in known.items() if entry.method == "founded"}
    placements = placement.place(groups, founded)
    assets.defer_names(session)
    empty = placement.left_empty(placements, current)
    outcome = _Changes(session, placements, known, empty).write()
    assets.check_names(session)
    return outcome


class _Changes:
    """The difference between what was decided and what is written."""

    def __init__(
        self,
        session: Session,
        placements: Sequence[Placement],
        known: Mapping[ItemKey, Known],
        empty: Sequence[int],
    ) -> None:
        self.session = session
        self.known = known
        self.empty = empty
        kept = [(entry.asset, entry.group) for entry in placements if entry.asset is not None]
        fresh = [entry.group for entry in placements if entry.asset is None]
        # Old slugs must be free before new assets take theirs, or checked at the end; they are.
        assets.rename(session, _naming(kept), empty)
        founded = assets.found(session, [_first(group) for group in fresh])
        self.founded = len(founded)
        self.groups = [*kept, *((founded[_first(group).key], group) for group in fresh)]

    def write(self) -> LinkOutcome:
        members = [(member, asset) for asset, group in self.groups for member in group.members]
        new = [entry for entry in members if entry[0].facts.key not in self.known]
        old = [entry for entry in members if self._differs(*entry)]
        moves = list(self._moves(old))
        links.insert(self.session, new)
        if old:
            links.update(self.session, old)
        changed = {asset for _, asset in new} | {move.to_asset for move in moves}
        closed: frozenset[int] = frozenset()
        if moves:
            assets.move(self.session, moves, actor="resolver")
            changed.update(assets.close(self.session, self.empty, moves))
            # An operator may have put items into an asset that share nothing with these.
            closed = assets.gone(self.session, self.empty)
        changed |= {move.from_asset for move in moves} - closed
        return LinkOutcome(
            linked=len(new),
            founded=self.founded,
            unresolved=sum(bool(member.candidates) for member, _ in new),
            moved=len(moves),
            closed_assets=closed,
            changed_assets=frozenset(changed),
        )

    def _differs(self, member: Member, asset: int) -> bool:
        known = self.known.get(member.facts.key)
        if known is None or member.method == "settled":
            return False
        decided = (asset, member.method, links.status(member), member.confidence)
        return decided != (known.asset_id, known.method, known.status, known.confidence)

    def _moves(self, old: Iterable[tuple[Member, int]]) -> Iterable[Move]:
        for member, asset in old:
            key = member.facts.key
            if self.known[key].asset_id != asset:
                yield Move(item=key, from_asset=self.known[key].asset_id, to_asset=asset)


def _naming(kept: Iterable[tuple[int, Group]]) -> Iterable[tuple[int, ItemFacts]]:
    # An asset with a settled item keeps the id it was given.
    return [(asset, _first(group)) for asset, group in kept if group.asset is None]


def _first(group: Group) -> ItemFacts:
    return group.members[0].facts
