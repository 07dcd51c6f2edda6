"""Who called when: the requests as the vendor counts them."""

import math
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass

from tasks.core.clock import Clock

_MINUTE_S = 60.0


@dataclass
class Arrival:
    """One request.

    Attributes:
        wall: RFC 3339, UTC.
        monotonic: Seconds that never run backwards, of this process.
        status: The status answered; 0 while unanswered or when the connection was reset.
    """

    path: str
    wall: str
    monotonic: float
    status: int = 0


class Traffic:
    """Every request of every source since the last reset. Safe to use from several threads."""

    def __init__(self, clock: Clock, per_minute: dict[str, int]) -> None:
        """Take the limits to enforce; a source without one has none."""
        self._clock = clock
        self._lock = threading.Lock()
        self._arrivals: dict[str, list[Arrival]] = defaultdict(list)
        self._per_minute = per_minute

    def arrive(self, source: str, path: str) -> tuple[Arrival, int]:
        """Note a request; return it and, if it is one too many, the seconds to wait, else 0.

        Refused calls count against the limit too, as they do at the vendors.
        """
        with self._lock:
            now = self._clock.monotonic()
            arrival = Arrival(path, self._clock.now().isoformat(), now)
            arrivals = self._arrivals[source]
            arrivals.append(arrival)
            limit = self._per_minute.get(source)
            if limit is None or len(arrivals) <= limit:
                return arrival, 0
            # With the call before the last *limit* ones a minute past, this one is within it.
            left = arrivals[-limit - 1].monotonic + _MINUTE_S - now
            return arrival, max(0, math.ceil(left))

    def limit(self, source: str, per_minute: int | None) -> None:
        """Set or lift a source's limit."""
        with self._lock:
            if per_minute is None:
                self._per_minute.pop(source, None)
            else:
                self._per_minute[source] = per_minute

    def requests(self, source: str) -> list[Arrival]:
        """Return a source's requests in the order of their arrival."""
        with self._lock:
            return list(self._arrivals[source])

    def statuses(self, source: str) -> dict[int, int]:
        """Return how many requests were answered with each status."""
        return dict(Counter(arrival.status for arrival in self.requests(source)))

    def max_in_window(self, source: str, seconds: float) -> int:
        """Return the most requests that arrived within any window of that length."""
        times = [arrival.monotonic for arrival in self.requests(source)]
        most = first = 0
        for last, moment in enumerate(times):
            while times[first] <= moment - seconds:
                first += 1
            most = max(most, last - first + 1)
        return most

    def reset(self) -> None:
        """Forget every request."""
        with self._lock:
            self._arrivals.clear()
