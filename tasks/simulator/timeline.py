"""Which tick it is, and when each tick was."""

import threading
from bisect import bisect_right
from datetime import UTC, datetime
from functools import lru_cache

from tasks.core.clock import Clock

_STEP_MS = 1000


class Timeline:
    """Ticks over wall time: tick 0 when the simulator starts, earlier ones evenly before it.

    A tick made by hand happens now (or a second after the one before, so that stamps always rise):
    its stamps must not lie in the future of those who read them.
    """

    def __init__(self, clock: Clock, *, tick_s: int, moving: bool) -> None:
        """Begin with tick 0, at the full second."""
        self._clock = clock
        self._tick_ms = tick_s * 1000
        self._moving = moving
        self._lock = threading.Lock()
        self._starts_ms = [self.now_ms() // 1000 * 1000]

    def now_ms(self) -> int:
        """Return the wall time in milliseconds since 1970."""
        return int(self._clock.now().timestamp() * 1000)

    def tick(self) -> int:
        """Return the number of the tick that holds now."""
        with self._lock:
            if self._moving:
                self._catch_up(self.now_ms())
            return len(self._starts_ms) - 1

    def advance(self, ticks: int) -> int:
        """Make *ticks* more ticks at once and return the number of the last."""
        self.tick()
        with self._lock:
            for _ in range(ticks):
                self._starts_ms.append(max(self.now_ms(), self._starts_ms[-1] + _STEP_MS))
            return len(self._starts_ms) - 1

    def started_ms(self, tick: int) -> int:
        """Return when a tick began, in milliseconds since 1970."""
        if tick <= 0:
            return self._starts_ms[0] + tick * self._tick_ms
        return self._starts_ms[min(tick, len(self._starts_ms) - 1)]

    def at(self, moment_ms: int) -> int:
        """Return the tick that held a moment."""
        if moment_ms < self._starts_ms[0]:
            return (moment_ms - self._starts_ms[0]) // self._tick_ms
        return bisect_right(self._starts_ms, moment_ms) - 1

    def day(self, tick: int) -> str:
        """Return the date of a tick, ``2026-01-31``."""
        return moment(self.started_ms(tick)).date().isoformat()

    def _catch_up(self, now_ms: int) -> None:
        while self._starts_ms[-1] + self._tick_ms <= now_ms:
            self._starts_ms.append(self._starts_ms[-1] + self._tick_ms)


def iso(moment_ms: int, *, milliseconds: bool) -> str:
    """Write a moment as the vendors do, ``2026-01-31T12:00:00.000Z`` or without the fraction."""
    written = _second(moment_ms // 1000)
    return f"{written}.{moment_ms % 1000:03d}Z" if milliseconds else f"{written}Z"


@lru_cache(maxsize=8192)
def _second(moment_s: int) -> str:
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def moment(moment_ms: int) -> datetime:
    """Return an aware time, in UTC, to the second."""
    return datetime.fromtimestamp(moment_ms // 1000, UTC)
