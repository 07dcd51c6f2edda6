"""A clock that runs faster than the world, for waits that a test does not want to sit through."""

import time

from tasks.core.clock import Clock, system_clock


def fast_clock(times: float = 20.0) -> Clock:
    """Return a clock whose seconds are so many times shorter."""
    return Clock(
        now=system_clock().now,
        monotonic=lambda: time.monotonic() * times,
        sleep=lambda seconds: time.sleep(seconds / times),
    )
