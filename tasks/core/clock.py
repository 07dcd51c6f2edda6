"""The one door to time, so that no test waits and no rule reads the wall clock by itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Wall time, monotonic time, and sleeping.

    Attributes:
        now: Gives the wall time, aware, in UTC.
        monotonic: Gives seconds that never run backwards.
        sleep: Waits for that many seconds.
    """

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]


def system_clock() -> Clock:
    """Return the clock of this machine."""
    return Clock(now=lambda: datetime.now(UTC), monotonic=time.monotonic, sleep=time.sleep)  # noqa: TID251 - this is the door
