"""A clock that only tests move."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tasks.core.clock import Clock


@dataclass
class FakeClock:
    """Starts at a fixed moment; sleeping moves it at once and is remembered.

    Attributes:
        tick_s: Seconds that pass with every look at the monotonic time.
    """

    elapsed_s: float = 0.0
    tick_s: float = 0.0
    start: datetime = datetime(2026, 11, 20, 12, tzinfo=UTC)
    slept: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(now=self._now, monotonic=self._monotonic, sleep=self._sleep)

    def _now(self) -> datetime:
        return self.start + timedelta(seconds=self.elapsed_s)

    def _monotonic(self) -> float:
        self.elapsed_s += self.tick_s
        return self.elapsed_s

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.elapsed_s += seconds
