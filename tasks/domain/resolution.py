"""From evidence between pairs to assets: a function of the set of items, not of their order.

The strongest pairs are joined first. A pair is joined only if neither item has a rival of the
other's source that is about as good and still free; what stays open is left for a person, since
a wrong join corrupts prices and a missed one only splits them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations, product
from typing import NamedTuple

from tasks.domain.identity import (
    CONSIDER_FROM,
    LINK_FROM,
    MARGIN,
    Evidence,
    ItemFacts,
    ItemKey,
    weigh,
)

CONFIDENCE = ((200, "0.999"), (130, "0.99"), (100, "0.97"), (80, "0.92"), (0, "0.85"))
"""Confidence of a link by its evidence; the shares are those seen on the development half."""
MAX_CANDIDATES = 5
_CERTAIN = Decimal(1)


class Member(NamedTuple):
    """An item's place in its asset.

    Attributes:
        method: ``founded`` for the item that names the asset, ``settled`` for one that stays where
            it was, else what the link rests on.
        twin: The item it was linked to.
        candidates: Likely twins that could not be told from each other, best first; with any of
            them the item is unresolved.
    """

    facts: ItemFacts
    method: str
    confidence: Decimal
    twin: ItemKey | None = None
    evidence: Evidence | None = None
    candidates: tuple[tuple[ItemKey, Evidence], ...] = ()


class Group(NamedTuple):
    """Items that are one asset; the first one names it.

    Attributes:
        asset: The asset its settled items are in, if it has any.
    """

    members: tuple[Member, ...]
    asset: int | None


class _Pair(NamedTuple):
    one: ItemFacts
    other: ItemFacts
    evidence: Evidence


@dataclass
class _Cluster:
    items: list[ItemFacts] = field(default_factory=list)

    @property
    def sources(self) -> set[str]:
        return {item.source for item in self.items}

    @property
    def asset(self) -> int | None:
        return next((item.asset for item in self.items if item.asset is not None), None)

    @property
    def known(self) -> set[str]:
        return {item.known for item in self.items if item.known}


def resolve(items: Iterable[ItemFacts], *, precedence: Mapping[str, int]) -> list[Group]:
    """Say which items are one asset.

    Args:
        items: Every item that shares a key with another one of them, whatever its source.
        precedence: Lower names the asset; sources without one come last, by name.
    """
    ordered = sorted(items, key=lambda item: (precedence.get(item.source, 1 << 30), *item.key))
    pairs = sorted(_pairs(ordered), key=_strongest_first)
    met = {item.key for pair in pairs for item in (pair.one, pair.other)}
    joined = _Joining(
        [item for item in ordered if item.key in met or item.asset is not None], pairs
    )
    for pair in pairs:
        if pair.evidence.score >= LINK_FROM:
            joined.consider(pair)
    firsts = {group.members[0].facts.key: group for group in map(joined.group, joined.clusters())}
    # Most items have nobody to be compared with.
    firsts |= {item.key: _alone(item) for item in ordered if item.key not in joined.of}
    return [firsts[item.key] for item in ordered if item.key in firsts]


def _alone(item: ItemFacts) -> Group:
    return Group((Member(item, "founded", _CERTAIN),), None)


class _Joining:
    """Items that have met another source's, or are settled with others."""

    def __init__(self, items: Sequence[ItemFacts], pairs: Sequence[_Pair]) -> None:
        self.items = items
        self.places = {item.key: place for place, item in enumerate(items)}
        self.near: dict[ItemKey, list[_Pair]] = defaultdict(list)
        for pair in pairs:
            self.near[pair.one.key].append(pair)
            self.near[pair.other.key].append(pair)
        self.of: dict[ItemKey, _Cluster] = {}
        self.accepted: dict[ItemKey, list[_Pair]] = defaultdict(list)
        self._start()

    def _start(self) -> None:
        settled: dict[int, _Cluster] = defaultdict(_Cluster)
        for item in self.items:
            cluster = _Cluster() if item.asset is None else settled[item.asset]
            cluster.items.append(item)
            self.of[item.key] = cluster

    def consider(self, pair: _Pair) -> None:
        one, other = self.of[pair.one.key], self.of[pair.other.key]
        if one is not other:
            if not self._may_join(one, other):
                return
            if self._has_rival(pair.one, pair) or self._has_rival(pair.other, pair):
                return
            self._join(one, other)
        self.accepted[pair.one.key].append(pair)
        self.accepted[pair.other.key].append(pair)

    def _may_join(self, one: _Cluster, other: _Cluster) -> bool:
        if one.sources & other.sources or (one.asset is not None and other.asset is not None):
            return False
        if one.known and other.known and one.known != other.known:
            return False
        return not any(
            pair.evidence.contradicts and self.of[_far(pair, item).key] is other
            for item in one.items
            for pair in self.near[item.key]
        )

    def _has_rival(self, item: ItemFacts, pair: _Pair) -> bool:
        twin = _far(pair, item)
        for rival_pair in self.near[item.key]:
            rival = _far(rival_pair, item)
            if rival_pair.evidence.score <= pair.evidence.score - MARGIN:
                return False
            if rival.source == twin.source and rival is not twin and self._is_free(rival, item):
                return True
        return False

    def _is_free(self, rival: ItemFacts, item: ItemFacts) -> bool:
        return item.source not in self.of[rival.key].sources

    def _join(self, one: _Cluster, other: _Cluster) -> None:
        one.items.extend(other.items)
        for item in other.items:
            self.of[item.key] = one

    def clusters(self) -> Iterator[_Cluster]:
        seen: set[int] = set()
        for item in self.items:
            cluster = self.of[item.key]
            if id(cluster) not in seen:
                seen.add(id(cluster))
                yield cluster

    def group(self, cluster: _Cluster) -> Group:
        ordered = sorted(cluster.items, key=lambda item: self.places[item.key])
        # Who joins an asset that is settled founds nothing, whatever the order of their sources.
        founder = ordered[0] if cluster.asset is None else None
        return Group(tuple(self._member(item, founder) for item in ordered), cluster.asset)

    def _member(self, item: ItemFacts, founder: ItemFacts | None) -> Member:
        candidates = tuple(self._candidates(item))[:MAX_CANDIDATES]
        if item.asset is not None:
            return Member(item, "settled", _CERTAIN, candidates=candidates)
        if item is founder or not self.accepted[item.key]:
            return Member(item, "founded", _CERTAIN, candidates=candidates)
        pair = min(self.accepted[item.key], key=_strongest_first)
        return Member(
            item,
            _method(pair.evidence),
            _confidence(pair.evidence.score),
            twin=_far(pair, item).key,
            evidence=pair.evidence,
            candidates=candidates,
        )

    def _candidates(self, item: ItemFacts) -> Iterator[tuple[ItemKey, Evidence]]:
        for pair in self.near[item.key]:
            twin = _far(pair, item)
            cluster = self.of[item.key]
            if (
                pair.evidence.likeness >= LINK_FROM
                and twin.source not in cluster.sources
                and self._is_free(twin, item)
            ):
                yield twin.key, pair.evidence


def _pairs(items: Sequence[ItemFacts]) -> Iterator[_Pair]:
    if len({item.source for item in items}) < 2:  # noqa: PLR2004 - a pair has two
        return
    by_key: dict[str, dict[str, list[ItemFacts]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        for key in item.keys:
            by_key[key][item.source].append(item)
    done: set[tuple[ItemKey, ItemKey]] = set()
    for one, other in _meetings(by_key.values()):
        if (one.key, other.key) in done:
            continue
        done.add((one.key, other.key))
        if one.known and other.known and one.known != other.known:
            continue  # the id map calls them two
        evidence = weigh(one, other)
        if evidence.likeness >= CONSIDER_FROM:
            yield _Pair(one, other, evidence)


def _meetings(
    by_source: Iterable[Mapping[str, Sequence[ItemFacts]]],
) -> Iterator[tuple[ItemFacts, ItemFacts]]:
    for sources in by_source:
        for mine, theirs in combinations(sorted(sources), 2):
            yield from product(sources[mine], sources[theirs])


def _strongest_first(pair: _Pair) -> tuple[int, ItemKey, ItemKey]:
    return (-pair.evidence.score, pair.one.key, pair.other.key)


def _far(pair: _Pair, item: ItemFacts) -> ItemFacts:
    return pair.other if pair.one is item else pair.one


def _method(evidence: Evidence) -> str:
    if evidence.agrees[0] in {"known id", "contract"}:
        return evidence.agrees[0].replace(" ", "_")
    names = [part for part in ("symbol", "name", "slug") if part in evidence.agrees]
    return "_".join([*names, *(["words"] if names == ["symbol"] else [])])


def _confidence(score: int) -> Decimal:
    return next(Decimal(text) for limit, text in CONFIDENCE if score >= limit)
