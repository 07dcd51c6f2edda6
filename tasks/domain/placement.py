"""Which asset each group of items becomes, given the assets its items are in already."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tasks.domain.identity import ItemKey
from tasks.domain.resolution import Group


class Placement(NamedTuple):
    """A group and its asset.

    Attributes:
        asset: None for a new one.
    """

    group: Group
    asset: int | None


def place(groups: Sequence[Group], founded: Mapping[ItemKey, int]) -> list[Placement]:
    """Give each group the asset that one of its items founded, the oldest if there are several.

    So an asset and its id stay with the item they are named after, whatever else comes and goes.
    Settled items never leave theirs.

    Args:
        groups: In order of their first items.
        founded: The asset of every known item that founded one.
    """
    settled = {group.asset for group in groups if group.asset is not None}
    placements = []
    for group in groups:
        own = (founded.get(member.facts.key) for member in group.members)
        claims = {asset for asset in own if asset is not None} - settled
        asset = min(claims, default=None) if group.asset is None else group.asset
        placements.append(Placement(group, asset))
    return placements


def left_empty(placements: Iterable[Placement], current: Mapping[ItemKey, int]) -> list[int]:
    """Return the assets that no group kept, ascending."""
    kept = {placement.asset for placement in placements}
    return sorted(set(current.values()) - kept)
