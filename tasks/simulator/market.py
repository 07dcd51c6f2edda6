"""The market as it stands at a tick, seen through each vendor's eyes."""

import threading
from dataclasses import dataclass
from typing import NamedTuple

from tasks.core.clock import Clock
from tasks.simulator.chance import Walk, mix
from tasks.simulator.coins import Coin, Label, coins
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.timeline import Timeline

VENDORS = ("coingecko", "coinpaprika")
_DAY_MS = 86_400_000
_BOARDS_KEPT = 3


class Sight(NamedTuple):
    """What a vendor knows of a coin at a tick.

    Attributes:
        price: USD; None when there is none.
        before: The price 24 hours earlier.
        volume: USD in 24 hours.
        updated_ms: When the vendor says it last looked, in milliseconds since 1970.
        stale: The vendor has stopped updating it.
    """

    coin: Coin
    label: Label
    price: float | None
    before: float
    market_cap: float
    volume: float
    updated_ms: int
    stale: bool


@dataclass(frozen=True)
class Board:
    """A vendor's list at one tick, the largest market cap first, those without a price last."""

    tick: int
    sights: tuple[Sight, ...]


class Market:
    """Coins, time and prices. Safe to use from several threads."""

    def __init__(self, config: SimulatorConfig, clock: Clock) -> None:
        """Make the coins; some 30 µs each."""
        self.config = config
        self.timeline = Timeline(clock, tick_s=config.tick_s, moving=config.moving)
        self.coins = _enough_coins(config)
        self.listed = {
            "coingecko": self._known_to("coingecko")[: config.coingecko_coins],
            "coinpaprika": self._known_to("coinpaprika")[: config.coinpaprika_tickers],
        }
        self._walk = Walk(config.seed)
        self._day = max(1, 86_400 // config.tick_s)
        self._boards: dict[tuple[str, int], Board] = {}
        self._lock = threading.Lock()
        self._by_id: dict[str, dict[str, Coin]] = {
            vendor: {
                label.external_id: coin for coin in self.coins if (label := coin.label(vendor))
            }
            for vendor in VENDORS
        }

    def find(self, vendor: str, external_id: str) -> Coin | None:
        """Return the coin a vendor knows by that id, listed or not."""
        return self._by_id[vendor].get(external_id)

    def known(self, vendor: str) -> list[Coin]:
        """Return every coin a vendor knows, the largest first, listed or not."""
        return list(self._by_id[vendor].values())

    def price(self, coin: Coin, tick: int) -> float:
        """Return the true price at a tick; earlier ones than 0 too."""
        return coin.price * (1 + coin.volatility * self._walk.at(coin.salt, tick))

    def board(self, vendor: str, tick: int) -> Board:
        """Return a vendor's list at a tick, computed once."""
        with self._lock:
            board = self._boards.get((vendor, tick))
            if board is None:
                board = Board(tick, tuple(self._ranked(vendor, tick)))
                while len(self._boards) >= _BOARDS_KEPT:
                    del self._boards[next(iter(self._boards))]
                self._boards[vendor, tick] = board
            return board

    def sight(self, vendor: str, coin: Coin, tick: int) -> Sight:
        """Return what a vendor that knows the coin sees of it at a tick."""
        label = coin.label(vendor)
        if label is None:
            raise ValueError(f"{vendor} does not know coin {coin.index}")
        eye = VENDORS.index(vendor)
        changed = 0 if coin.stale_days else _last_change(coin, eye, tick)
        # The vendors weigh exchanges differently, so they differ by up to 0.1 %.
        skew = 1 + ((coin.salt >> (3 * eye)) % 201 - 100) / 100_000
        price = self.price(coin, changed) * skew
        market_cap = price * coin.supply
        turnover = 0.002 + (coin.salt % 997) / 5_000
        wave = 1 + 0.2 * self._walk.noise(coin.salt, changed)
        return Sight(
            coin=coin,
            label=label,
            price=price if coin.priced else None,
            before=self.price(coin, changed - self._day) * skew,
            market_cap=market_cap if coin.priced else 0.0,
            volume=market_cap * turnover * wave if coin.priced else 0.0,
            updated_ms=self._updated_ms(coin, tick if coin.touched else changed),
            stale=coin.stale_days > 0,
        )

    def _updated_ms(self, coin: Coin, tick: int) -> int:
        # The same lag at every tick, so that a coin's stamps never run backwards.
        lag_ms = mix(coin.index) % 60_000 + coin.stale_days * _DAY_MS
        return self.timeline.started_ms(0 if coin.stale_days else tick) - lag_ms

    def _ranked(self, vendor: str, tick: int) -> list[Sight]:
        sights = [self.sight(vendor, coin, tick) for coin in self.listed[vendor]]
        sights.sort(key=lambda sight: (-sight.market_cap, sight.coin.index))
        return sights

    def _known_to(self, vendor: str) -> list[Coin]:
        return [coin for coin in self.coins if coin.label(vendor)]


def _enough_coins(config: SimulatorConfig) -> list[Coin]:
    """Take coins until the market is as large as asked and each vendor can fill its list."""
    taken: list[Coin] = []
    missing = {"coingecko": config.coingecko_coins, "coinpaprika": config.coinpaprika_tickers}
    for coin in coins(config.seed, all_change=config.all_change):
        if len(taken) >= config.coins and max(missing.values()) <= 0:
            break
        taken.append(coin)
        for vendor in VENDORS:
            missing[vendor] -= coin.label(vendor) is not None
    return taken


def _last_change(coin: Coin, eye: int, tick: int) -> int:
    """Return the tick at which the vendor last got new values for the coin."""
    phase = (coin.salt + eye) % coin.period
    return (tick + phase) // coin.period * coin.period - phase
