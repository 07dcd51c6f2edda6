"""Which items of different sources are the same asset: evidence between two items.

The weights were set on the development half of a set of labelled pairs (see docs/benchmarks.md)
and hold no list of known coins. How pairs become assets is in :mod:`tasks.domain.resolution`.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from tasks.domain import names

T = TypeVar("T")

SAME_SYMBOL = 55
SAME_NAME = 30
SAME_SLUG = 33
SAME_SPELLING = 2
"""The slugs are equal to the hyphen."""
NAME_IS_SLUG = 8
WORD = 10
ID_SYMBOL = 12
RANKS_NEAR = 6
RANK_MISSING = -15
MARKS_DIFFER = -45
SAME_CONTRACT = 200
KNOWN_ID = 1000
LINK_FROM = 60
"""Evidence from which two items can be linked."""
CONSIDER_FROM = 45
"""Evidence from which an item counts as a rival."""
MARGIN = 2
"""A link must be this much better than every rival's."""
TOP_RANK = 100
"""A coin this large at one source is ranked by the others too."""
MIN_INSIDE = 6
"""Letters a name must have for its occurrence inside another to mean something."""
COMPARABLE = timedelta(hours=24)
"""Prices further apart in time say nothing about identity."""
PRICE_STEPS = (
    (Decimal("1.03"), 10),
    (Decimal(2), 0),
    (Decimal(5), -10),
    (Decimal(20), -30),
)
PRICES_CONTRADICT = -60
"""Beyond the last step: no two markets of one coin differ so much, but a vendor's slip may, so
a pair with every other evidence still passes."""

ItemKey = tuple[str, str]
"""(source, external_id)."""


class _once(Generic[T]):  # noqa: N801 - reads as the decorator it is
    """A property that is computed once.

    That of the standard library takes a lock each time up to Python 3.11, which was a third of the
    time of linking.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type) -> T:
        value = instance.__dict__[self._name] = self._compute(instance)
        return value


class Labels(NamedTuple):
    """What an item is filed under once it has a link; see :class:`ItemFacts`."""

    ticker: str
    slug_id: str
    identity_key: str
    keys: tuple[str, ...]


class ItemFacts(msgspec.Struct, frozen=True, dict=True):
    """What identity knows of an item; as first seen, so that a renamed item keeps its asset.

    Attributes:
        contracts: As in :class:`tasks.domain.records.Quote`.
        known: A name that the operator's id map gives to this item and to its twins.
        asset: The asset it is settled in, by the operator or by time; None while it may move.
    """

    source: str
    external_id: str
    symbol: str
    name: str
    rank: int | None = None
    price_usd: Decimal | None = None
    observed_at: datetime | None = None
    contracts: str | None = None
    known: str | None = None
    asset: int | None = None

    @_once
    def key(self) -> ItemKey:
        """Return the item's key in every table."""
        return (self.source, self.external_id)

    @_once
    def symbol_key(self) -> str:
        """Return what equal symbols share."""
        return names.symbol_key(self.symbol)

    @_once
    def name_key(self) -> str:
        """Return what equal names share."""
        return names.key(self.name)

    @_once
    def ticker(self) -> str:
        """Return the ticker of an asset that this item names."""
        return names.ticker(self.symbol)

    @_once
    def slug_id(self) -> str:
        """Return the ``TICKER~slug`` of an asset that this item names."""
        return f"{self.ticker}~{names.slug(self.source, self.external_id)}"

    @_once
    def identity_key(self) -> str:
        """Return its normalised symbol and name, for people."""
        return f"{self.symbol_key} {self.name_key}"

    def labels(self) -> Labels:
        """Return what the item is filed under."""
        return Labels(self.ticker, self.slug_id, self.identity_key, tuple(sorted(self.keys)))

    @_once
    def id_symbol(self) -> str:
        """Return the symbol at the head of the id, empty where ids have none."""
        return names.key(names.split_id(self.source, self.external_id)[0])

    @_once
    def slug(self) -> str:
        """Return the id without its symbol."""
        return names.split_id(self.source, self.external_id)[1]

    @_once
    def slug_key(self) -> str:
        """Return what equal slugs share."""
        return names.key(self.slug)

    @_once
    def words(self) -> frozenset[str]:
        """Return the telling words of name and id."""
        return (names.words(self.name) | names.words(self.slug)) - names.GENERIC_WORDS

    @_once
    def marks(self) -> frozenset[str]:
        """Return what name and id say of the coin's nature."""
        return names.marks(f"{self.name} {self.external_id}")

    @_once
    def addresses(self) -> frozenset[str]:
        """Return its ``platform=address`` pairs."""
        return frozenset(filter(None, (self.contracts or "").split("|")))

    @_once
    def keys(self) -> frozenset[str]:
        """Return the keys of which two items must share one to be compared at all."""
        named = (
            ("s", self.symbol_key),
            ("s", self.id_symbol),
            ("n", self.name_key),
            ("n", self.slug_key),
            ("k", self.known),
        )
        found = {f"{kind}:{text}" for kind, text in named if text}
        if self.contracts:
            found.update(f"c:{address}" for address in self.addresses)
        return frozenset(found)


class Evidence(NamedTuple):
    """How much speaks for two items being one asset.

    Attributes:
        score: All of it; see :data:`LINK_FROM`.
        likeness: The part that does not rest on prices: a pair that is alike but dear apart is
            for a person to decide.
        agrees: Names of what agrees, strongest first.
        price_ratio: The higher price in terms of the lower; None where they cannot be compared.
    """

    score: int
    likeness: int
    agrees: tuple[str, ...]
    price_ratio: Decimal | None

    @property
    def contradicts(self) -> bool:
        """Say whether the two must not even be joined through a third item."""
        return self.score < LINK_FROM <= self.likeness


def weigh(one: ItemFacts, other: ItemFacts) -> Evidence:
    """Weigh the evidence; symmetric in its arguments."""
    points = dict(_points(one, other))
    likeness = sum(points.values())
    ratio = price_ratio(one, other)
    score = (
        likeness if points.keys() & {"known id", "contract"} else likeness + _price_points(ratio)
    )
    agrees = tuple(sorted((name for name in points if points[name] > 0), key=lambda n: -points[n]))
    return Evidence(score, likeness, agrees, ratio)


def price_ratio(one: ItemFacts, other: ItemFacts) -> Decimal | None:
    """Return how many times the lower price the higher one is, if they are of about one time."""
    if not one.price_usd or not other.price_usd or not one.observed_at or not other.observed_at:
        return None
    if abs(one.observed_at - other.observed_at) > COMPARABLE:
        return None
    low, high = sorted((one.price_usd, other.price_usd))
    return high / low


def _points(one: ItemFacts, other: ItemFacts) -> Iterator[tuple[str, int]]:
    if one.known and one.known == other.known:
        yield "known id", KNOWN_ID
    if one.addresses & other.addresses:
        yield "contract", SAME_CONTRACT
    if one.symbol_key == other.symbol_key:
        yield "symbol", SAME_SYMBOL
    elif one.symbol_key == other.id_symbol or other.symbol_key == one.id_symbol:
        yield "id symbol", ID_SYMBOL
    yield from _name_points(one, other)
    yield "ranks", _rank_points(one.rank, other.rank)
    if _marks_differ(one, other):
        yield "marks", MARKS_DIFFER


def _name_points(one: ItemFacts, other: ItemFacts) -> Iterator[tuple[str, int]]:
    if one.name_key and one.name_key == other.name_key:
        yield "name", SAME_NAME
    if one.slug_key and one.slug_key == other.slug_key:
        yield "slug", SAME_SLUG + (SAME_SPELLING if one.slug == other.slug else 0)
    crossed = (one.name_key == other.slug_key) + (other.name_key == one.slug_key)
    yield "name is slug", NAME_IS_SLUG * crossed
    yield "words", _word_points(one, other)


def _word_points(one: ItemFacts, other: ItemFacts) -> int:
    # The ticker's own word is no further evidence once the symbols were compared.
    tickers = {one.symbol_key, other.symbol_key}
    mine, theirs = one.words - tickers, other.words - tickers
    shared = mine & theirs
    if one.slug == other.slug and "-" in one.slug:
        return WORD * 2
    if shared:
        return WORD * (2 if len(shared) == min(len(mine), len(theirs)) else 1)
    if _inside(one, other) or one.words & other.words:
        return WORD
    return 0


def _inside(one: ItemFacts, other: ItemFacts) -> bool:
    return _holds_part_of(one, other) or _holds_part_of(other, one)


def _holds_part_of(one: ItemFacts, other: ItemFacts) -> bool:
    parts = {other.name_key, other.slug_key, *other.words}
    return any(
        part in whole
        for part in parts
        if len(part) >= MIN_INSIDE
        for whole in (one.name_key, one.slug_key)
    )


def _rank_points(one: int | None, other: int | None) -> int:
    if one and other:
        low, high = sorted((one, other))
        return RANKS_NEAR if high <= low * 3 else RANKS_NEAR // 2 if high <= low * 10 else 0
    return RANK_MISSING if 0 < (one or other or 0) <= TOP_RANK else 0


def _marks_differ(one: ItemFacts, other: ItemFacts) -> bool:
    differing = one.marks ^ other.marks
    # A vendor that marks a coin as old keeps its id, and so does the other one.
    return bool(differing) and not (differing == {"old"} and one.slug_key == other.slug_key)


def _price_points(ratio: Decimal | None) -> int:
    if ratio is None:
        return 0
    return next((points for limit, points in PRICE_STEPS if ratio <= limit), PRICES_CONTRADICT)
