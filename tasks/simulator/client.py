"""Plays with a simulator in another process, by the methods of :class:`Simulator`."""

from typing import Any

import requests

from tasks.core.errors import InvalidInputError
from tasks.simulator.control import PREFIX
from tasks.simulator.traffic import Arrival

_TIMEOUT_S = 30


class SimulatorClient:
    """The control API of a running simulator."""

    def __init__(self, url: str) -> None:
        """Take the simulator's address, without a trailing slash."""
        self._url = url + PREFIX
        self._session = requests.Session()

    def fail(self, source: str, kind: str, **options: Any) -> int:
        """Arm a fault and return its number; see :class:`tasks.simulator.faults.Fault`."""
        made = self._call("POST", "/faults", {"source": source, "kind": kind, **options})
        return int(made["number"])

    def clear(self, source: str | None = None) -> None:
        """Disarm the faults of a source, or all."""
        self._call("DELETE", "/faults", {"source": source})

    def advance(self, ticks: int = 1) -> int:
        """Move the market on and return the number of the new tick."""
        return int(self._call("POST", "/tick", {"ticks": ticks})["tick"])

    def limit(self, source: str, per_minute: int | None) -> None:
        """Answer 429 beyond so many calls in any 60 seconds; None lifts the limit."""
        self._call("POST", "/limits", {"source": source, "per_minute": per_minute})

    def requests(self, source: str) -> list[Arrival]:
        """Return the requests to a source since the last :meth:`reset`, in order."""
        return [Arrival(**a) for a in self._call("GET", "/requests", {"source": source})]

    def max_in_window(self, source: str, seconds: float) -> int:
        """Return the most requests to a source within any window of that many seconds."""
        return int(self._call("GET", "/window", {"source": source, "seconds": seconds})["max"])

    def reset(self) -> None:
        """Forget requests and faults; the market stays where it is."""
        self._call("DELETE", "/requests", {})

    def state(self) -> dict[str, Any]:
        """Describe the simulator: tick, sizes, faults, requests by status."""
        described: dict[str, Any] = self._call("GET", "/state", {})
        return described

    def truth(self) -> list[dict[str, Any]]:
        """Return which labels of the vendors mean the same coin."""
        known: list[dict[str, Any]] = self._call("GET", "/truth", {})
        return known

    def close(self) -> None:
        """Give back the connection."""
        self._session.close()

    def _call(self, method: str, path: str, arguments: dict[str, Any]) -> Any:
        response = self._session.request(
            method, self._url + path, json=arguments, timeout=_TIMEOUT_S
        )
        if not response.ok:
            raise InvalidInputError(f"The simulator says: {response.json()['error']}")
        return response.json()
