"""Which asset each group of items becomes, given the assets its items are in already."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.domain.identity import ItemKey
from tasks.domain.resolution import Group


@dataclass(frozen=True)
class Placement:
    """A group and its asset.

    Attributes:
        asset: None for a new one.
    """

    group: Group
    asset: int | None


def place(groups: Sequence[Group], current: Mapping[ItemKey, int]) -> list[Placement]:
    """Give each group one of the assets of its items, so that as little as possible moves.

    An asset whose items end in several groups stays with the group of its first item; a group
    that is left with several takes the oldest. Settled items never leave theirs.

    Args:
        groups: In order of their first items.
        current: The asset of every known item.
    """
    settled = {group.asset for group in groups if group.asset is not None}
    taken = set(settled)
    placements = []
    for group in groups:
        asset = group.asset
        if asset is None:
            claims = _assets(group, current) - taken
            asset = min(claims, default=None)
            taken |= claims
        placements.append(Placement(group, asset))
    return placements


def left_empty(placements: Iterable[Placement], current: Mapping[ItemKey, int]) -> list[int]:
    """Return the assets that no group kept, ascending."""
    kept = {placement.asset for placement in placements}
    return sorted(set(current.values()) - kept)


def _assets(group: Group, current: Mapping[ItemKey, int]) -> set[int]:
    return {current[member.facts.key] for member in group.members if member.facts.key in current}
