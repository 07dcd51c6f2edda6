"""The coins of a market: what each truly is, and under which labels each vendor knows it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tasks.simulator.chance import Chance
from tasks.simulator.naming import Namer
from tasks.simulator.words import (
    COPIED,
    CROWDED,
    FOLLOWS,
    ODD_SYMBOLS,
    STABLE,
    WELL_KNOWN,
    WellKnown,
)


class Label(NamedTuple):
    """What one vendor calls a coin."""

    external_id: str
    symbol: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coin:
    """One true asset.

    Attributes:
        index: Its place by size, roughly; 0 is Bitcoin.
        kind: ``known``, ``project``, ``copy`` (wrapped or bridged), ``joke`` (a famous ticker),
            ``namesake`` (symbol and name of another project), ``crowded`` (only its symbol),
            ``odd``.
        coingecko: Its label there, None if that vendor does not know it.
        coinpaprika: The same for the other vendor.
        price: USD, around which the walk goes.
        supply: Coins in circulation.
        salt: Which walk it follows; a copy follows the original's.
        period: Its values change on every so many ticks.
        volatility: Share of the walk it follows; next to nothing for a stable coin.
        touched: Its timestamp is renewed on every tick, its values are not.
        stale_days: Age of its data at the start when the vendor no longer updates it, else 0.
        priced: False when no vendor has a price for it.
        contract: ``platform=address`` or empty for a coin with a chain of its own.
    """

    index: int
    kind: str
    coingecko: Label | None
    coinpaprika: Label | None
    price: float
    supply: float
    salt: int
    period: int
    volatility: float
    touched: bool
    stale_days: int
    priced: bool
    contract: str

    def label(self, vendor: str) -> Label | None:
        """Return what *vendor* calls it, None if it does not know it."""
        return self.coingecko if vendor == "coingecko" else self.coinpaprika


# Share of the coins after the well-known ones, chosen so that about one symbol in six is shared, as
# in the vendors' own coin lists of 2026.
_KINDS = (
    ("copy", 0.09),
    ("joke", 0.006),
    ("namesake", 0.03),
    ("crowded", 0.055),
    ("odd", 0.015),
)
_KNOWN_TO = {  # probability that CoinGecko and that CoinPaprika knows one of the kind
    "project": (0.95, 0.85),
    "copy": (0.98, 0.15),
    "joke": (0.95, 0.35),
    "namesake": (0.80, 0.60),
    "crowded": (0.95, 0.80),
    "odd": (0.95, 0.60),
}
_FIRST_JOKE = 300
_AILMENTS = (("stale", 0.005), ("unpriced", 0.004))
_PERIODS = (1, 1, 1, 2, 2, 2, 3, 3, 6, 12)
_GREATEST_PRICE = 9e4
_LEAST_PRICE = 1.2e-12


def coins(seed: int, *, all_change: bool = False) -> Iterator[Coin]:
    """Make coins for ever, the largest first; the first *n* do not depend on how many are taken."""
    maker = _Maker(Chance(seed, 0x636F696E), all_change=all_change)
    for known in WELL_KNOWN:
        yield maker.well_known(known)
    while True:
        yield maker.invented()


def all_time_high(coin: Coin) -> float:
    """Return the all-time high as a multiple of the coin's price; modest for a well-known one."""
    place = coin.salt % 997 / 997
    return 1.3 + (place / 2 if coin.kind == "known" else 60 * place**4)


class _Maker:
    """Makes coins one after the other, remembering those that later ones imitate."""

    def __init__(self, chance: Chance, *, all_change: bool) -> None:
        self._chance = chance
        self._namer = Namer(chance)
        self._all_change = all_change
        self._made = 0
        self._models: list[Coin] = []
        self._famous: dict[str, Coin] = {}

    def well_known(self, known: WellKnown) -> Coin:
        coingecko = Label(known.coingecko_id, known.symbol, known.name)
        coinpaprika = Label(
            known.coinpaprika_id,
            known.coinpaprika_symbol or known.symbol.upper(),
            known.coinpaprika_name or known.name,
        )
        self._namer.reserve(coingecko.external_id, coinpaprika.external_id, known.name)
        followed = self._famous.get(FOLLOWS.get(known.coingecko_id, ""))
        coin = Coin(
            index=self._next_index(),
            kind="known",
            coingecko=coingecko,
            coinpaprika=coinpaprika,
            price=known.price,
            supply=known.market_cap / known.price,
            salt=followed.salt if followed else self._chance.below(1 << 30),
            period=1,
            volatility=0.01 if known.coingecko_id in STABLE else 1.0,
            touched=False,
            stale_days=0,
            priced=True,
            contract="",
        )
        self._famous[known.coingecko_id] = coin
        return coin

    def invented(self) -> Coin:
        kind = self._kind()
        model = self._model(kind)
        symbol, name, slug = self._identity(kind, model)
        coingecko, coinpaprika = self._labels(kind, symbol, name, slug)
        copied = model if kind == "copy" else None
        chance = self._chance
        price = copied.price * (1 + (chance.unit() - 0.5) / 500) if copied else self._price()
        market_cap = 9e11 * (self._made + 3) ** -1.45 * (0.6 + 0.8 * chance.unit())
        ailment = chance.choose(_AILMENTS, "")
        coin = Coin(
            index=self._next_index(),
            kind=kind,
            coingecko=coingecko,
            coinpaprika=coinpaprika,
            price=price,
            supply=market_cap / price,
            salt=copied.salt if copied else chance.below(1 << 30),
            period=1 if self._all_change else copied.period if copied else chance.pick(_PERIODS),
            volatility=copied.volatility if copied else 1.0,
            touched=chance.happens(0.1) and not self._all_change,
            stale_days=1 + chance.below(12) if ailment == "stale" and not self._all_change else 0,
            priced=ailment != "unpriced" or self._made < _FIRST_JOKE,
            contract=f"{chance.pick(('ethereum', 'base', 'solana'))}=0x{chance.bits():016x}"
            f"{chance.bits():016x}{chance.bits() & 0xFFFFFFFF:08x}",
        )
        if kind == "project" and coin.priced:
            self._models.append(coin)
        return coin

    def _next_index(self) -> int:
        self._made += 1
        return self._made - 1

    def _kind(self) -> str:
        kind = self._chance.choose(_KINDS, "project")
        early = kind in {"joke", "namesake"} and self._made < _FIRST_JOKE
        return "project" if early else kind

    def _model(self, kind: str) -> Coin:
        """Choose whom the next coin imitates."""
        if kind == "joke":
            # The product of two draws: the most famous have the most imitators.
            place = int(self._chance.unit() * self._chance.unit() * len(self._famous))
            return self._famous[WELL_KNOWN[place].coingecko_id]
        if not self._models or (kind == "copy" and self._chance.happens(0.5)):
            return self._famous[self._chance.pick(COPIED)]
        return self._chance.pick(self._models)

    def _identity(self, kind: str, model: Coin) -> tuple[str, str, str]:
        """Return symbol, name and CoinGecko id."""
        namer, chance = self._namer, self._chance
        label = model.coingecko or model.coinpaprika or Label("", "", "")
        symbol = label.symbol.lower()
        if kind == "namesake":
            return symbol, label.name, namer.slug(label.name)
        if kind == "copy":
            return symbol, *namer.copy(label.external_id, symbol, label.name)
        if kind == "joke":
            return symbol, *namer.joke()
        name, slug = namer.odd() if kind == "odd" else namer.project()
        if kind == "crowded":
            symbol = chance.pick(CROWDED) if chance.happens(0.2) else symbol
        else:
            odd = kind == "odd" and chance.happens(0.6)
            symbol = chance.pick(ODD_SYMBOLS) if odd else namer.ticker(name)
        return symbol, name, slug

    def _labels(
        self, kind: str, symbol: str, name: str, slug: str
    ) -> tuple[Label | None, Label | None]:
        at_coingecko, at_coinpaprika = _KNOWN_TO[kind]
        known_there = self._chance.happens(at_coinpaprika)
        known_here = self._chance.happens(at_coingecko) or not known_there
        there = (symbol.upper(), name)
        if kind == "project":
            there = self._namer.other_words(symbol.upper(), name)
        return (
            Label(slug, symbol, name) if known_here else None,
            Label(self._namer.paprika_id(*there), *there) if known_there else None,
        )

    def _price(self) -> float:
        """Draw a price; most lie between a hundredth of a cent and ten dollars."""
        chance = self._chance
        exponent = -1.0 + 3.0 * (chance.unit() + chance.unit() + chance.unit() - 1.5)
        if chance.happens(0.06):
            exponent = -12.0 + 9.0 * chance.unit()
        elif chance.happens(0.02):
            exponent = 2.5 + 2.5 * chance.unit()
        return min(_GREATEST_PRICE, max(_LEAST_PRICE, 10**exponent))
