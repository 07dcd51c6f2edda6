"""The simulated vendors as one object: what they answer, and how a test plays with them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.core.clock import Clock, system_clock
from tasks.core.errors import InvalidInputError
from tasks.simulator import faults, spoiling, truth
from tasks.simulator.answers import Answer, Request, refusal, text
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.market import Market
from tasks.simulator.site import Site, conditional, tagged
from tasks.simulator.traffic import Arrival, Traffic

SOURCES = ("coingecko", "coinpaprika", "rss")
_CONTENT = {"rename_field", "drop_field", "retype_field", "add_field", "bad_item"}
_ORDER = (
    "rank_shift",
    "status",
    "html",
    "empty",
    *sorted(_CONTENT),
    "truncate",
    "drip",
    "delay",
    "reset",
)


class Simulator:
    """A market, its vendors' answers, faults and request log. Safe to use from several threads.

    Attributes:
        market: The coins and prices behind the answers.
    """

    def __init__(self, config: SimulatorConfig | None = None, clock: Clock | None = None) -> None:
        """Build the market; half a second for the 15,000 coins of the default."""
        self.config = config or SimulatorConfig()
        self._clock = clock or system_clock()
        self.market = Market(self.config, self._clock)
        self._site = Site(self.market)
        self._faults = faults.FaultBook()
        self._traffic = Traffic(self._clock, dict(self.config.per_minute))

    def handle(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Answer one GET, spoilt as the armed faults say. Header names are lower-case."""
        request = self._site.request(path, dict(query), dict(headers))
        if request is None:
            return text("nothing here", status=404, media_type="text/plain; charset=utf-8")
        arrival, wait_s = self._traffic.arrive(request.source, request.path)
        answer = self._limited(request, wait_s) if wait_s else self._answer(request)
        arrival.status = 0 if answer.reset else answer.status
        return answer

    def fail(self, source: str, kind: str, **options: Any) -> int:
        """Arm a fault and return its number; *options* are those of :class:`faults.Fault`.

        Raises:
            InvalidInputError: If there is no such source, kind or option.
        """
        _known(source)
        return self._faults.add(faults.fault({"source": source, "kind": kind, **options}))

    def clear(self, source: str | None = None) -> None:
        """Disarm the faults of a source, or all, and take back every rank move."""
        self._faults.clear(source)
        if source in {None, "coingecko"}:
            self._site.coingecko.settle()

    def advance(self, ticks: int = 1) -> int:
        """Move the market on and return the number of the new tick.

        Raises:
            InvalidInputError: If *ticks* is not positive.
        """
        if ticks < 1:
            raise InvalidInputError("ticks must be 1 or more")
        return self.market.timeline.advance(ticks)

    def limit(self, source: str, per_minute: int | None) -> None:
        """Answer 429 beyond so many calls in any 60 seconds; None lifts the limit."""
        self._traffic.limit(_known(source), per_minute)

    def requests(self, source: str) -> list[Arrival]:
        """Return the requests to a source since the last :meth:`reset`, in order."""
        return self._traffic.requests(_known(source))

    def max_in_window(self, source: str, seconds: float) -> int:
        """Return the most requests to a source within any window of that many seconds."""
        return self._traffic.max_in_window(_known(source), seconds)

    def reset(self) -> None:
        """Forget requests and faults; the market stays where it is."""
        self.clear()
        self._traffic.reset()

    def state(self) -> dict[str, Any]:
        """Describe the whole for people and for the control API."""
        return {
            "seed": self.config.seed,
            "tick": self.market.timeline.tick(),
            "coins": len(self.market.coins),
            "listed": {vendor: len(coins) for vendor, coins in self.market.listed.items()},
            "faults": self._faults.listed(),
            "requests": {source: self._traffic.statuses(source) for source in SOURCES},
        }

    def truth(self) -> list[truth.Identity]:
        """Return which labels of the two vendors mean the same coin."""
        return truth.identities(self.market)

    def _limited(self, request: Request, wait_s: int) -> Answer:
        refused = refusal(request.source, 429)
        # Only CoinGecko says how long to wait.
        wait = {"Retry-After": str(wait_s)} if request.source == "coingecko" else {}
        return replace(refused, headers={**refused.headers, **wait})

    def _answer(self, request: Request) -> Answer:
        struck = sorted(self._faults.take(request), key=lambda fault: _ORDER.index(fault.kind))
        if any(fault.kind == "rank_shift" for fault in struck):
            self._site.coingecko.shift(request)
        answer = self._site.answer(request)
        for fault in struck:
            answer = spoiling.spoil(answer, fault, self._clock)
        if any(fault.kind in _CONTENT for fault in struck):
            answer = tagged(answer)
        return conditional(request, answer)


def _known(source: str) -> str:
    if source not in SOURCES:
        raise InvalidInputError(f"source is one of {', '.join(SOURCES)}")
    return source
