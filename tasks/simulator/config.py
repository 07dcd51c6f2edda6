"""How large the simulated market is, how it moves, and which keys and limits it enforces."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class SimulatorConfig:
    """The whole of what a market depends on: equal values make equal answers.

    Attributes:
        seed: Picks names, prices and everything else that chance decides.
        coins: Coins in the market at least; more are made until both vendors have theirs.
        coingecko_coins: How many of them ``/coins/markets`` lists.
        coinpaprika_tickers: How many of them ``/v1/tickers`` lists.
        csv_rows: Rows that the CSV files hold by default.
        feed_entries: Entries a feed shows at one time.
        tick_s: Seconds from one state of the market to the next.
        moving: Whether ticks come with time; if not, only :meth:`Simulator.advance` makes them.
        all_change: Every coin gets a new price on every tick, not only a part of them.
        coingecko_plan: ``public``, or ``demo``/``pro`` to ask for the key in that plan's header.
        coingecko_api_key: The key asked for; only read when the plan is not ``public``.
        coinpaprika_plan: ``free`` leaves out what the vendor does on that plan, ``paid`` nothing.
        coinpaprika_api_key: The key asked for in ``Authorization``; empty asks for none.
        per_minute: Source to calls per minute beyond which it answers 429.
    """

    seed: int = 1
    coins: int = 15_000
    coingecko_coins: int = 2_000
    coinpaprika_tickers: int = 2_500
    csv_rows: int = 500
    feed_entries: int = 25
    tick_s: int = 300
    moving: bool = True
    all_change: bool = False
    coingecko_plan: str = "public"
    coingecko_api_key: str = field(default="", repr=False)
    coinpaprika_plan: str = "free"
    coinpaprika_api_key: str = field(default="", repr=False)
    per_minute: Mapping[str, int] = field(default_factory=dict)
