"""How often one caller may call: counted in Redis, so that all API processes share the count.

Without Redis the API goes on answering: a read is worth more than an exact count. Each outage is
logged once and counted, and Redis is asked again after a pause.
"""

import math
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from prometheus_client import Counter

from tasks.core.clock import Clock
from tasks.core.logging import get_logger

WINDOW_S = 60
_PAUSE_S = 5.0
_TIMEOUT_S = 0.25
_log = get_logger(__name__)
_UNCHECKED = Counter(
    "api_rate_limit_unchecked_total", "Requests let through because Redis did not answer."
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the limiter says about one request.

    Attributes:
        allowed: Whether it may pass.
        limit: Requests per minute of this caller.
        remaining: Requests left now.
        reset_s: Whole seconds until the count is lower.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """Return the ``RateLimit`` fields of the IETF draft."""
        return {
            "RateLimit-Policy": f'"default";q={self.limit};w={WINDOW_S}',
            "RateLimit": f'"default";r={self.remaining};t={self.reset_s}',
        }


class _Storage(RedisStorage):
    """The storage without its other client, which would be imported wherever it is installed."""

    DEPENDENCIES = {"redis": RedisStorage.DEPENDENCIES["redis"]}  # noqa: RUF012 - as above it


class RedisRateLimiter:
    """A sliding window of a minute for each caller."""

    def __init__(self, redis_url: str, clock: Clock) -> None:
        self._storage = _Storage(
            redis_url,
            wrap_exceptions=True,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
        )
        self._strategy = SlidingWindowCounterRateLimiter(self._storage)
        self._clock = clock
        self._asleep_until = -math.inf

    def close(self) -> None:
        """Close the connections."""
        self._storage.storage.close()

    def hit(self, caller: str, per_minute: int) -> Verdict | None:
        """Count one request; None if Redis does not answer and nothing is known."""
        if self._clock.monotonic() < self._asleep_until:
            _UNCHECKED.inc()
            return None
        item = RateLimitItemPerMinute(per_minute, namespace="kasparro:api")
        try:
            allowed = self._strategy.hit(item, caller)
            window = self._strategy.get_window_stats(item, caller)
        except StorageError as error:
            self._sleep(error)
            return None
        reset_s = max(1, math.ceil(window.reset_time - self._clock.now().timestamp()))
        return Verdict(
            allowed=allowed, limit=per_minute, remaining=max(0, window.remaining), reset_s=reset_s
        )

    def _sleep(self, error: StorageError) -> None:
        self._asleep_until = self._clock.monotonic() + _PAUSE_S
        _UNCHECKED.inc()
        _log.warning("rate_limit_unchecked", reason=type(error.storage_error).__name__)
