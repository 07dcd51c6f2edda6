"""How often one caller may call: counted in Redis, so that all API processes share the count.

To ask Redis takes longer than all else that a cached answer needs. So a process lets a caller use a
small part of what Redis said is left before it asks again, and then tells what was used. While up
to :data:`SHARES` processes serve, their parts together are no more than what is left: nobody gets
more than the limit, and close to it every request is asked about.

Without Redis the API goes on answering: a read is worth more than an exact count. Each outage is
logged once and counted, and Redis is asked again after a pause.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from prometheus_client import Counter

from tasks.core.clock import Clock
from tasks.core.logging import get_logger

WINDOW_S = 60
SHARES = 16
_TELL_EVERY_S = 1.0
_MAX_CALLERS = 2000
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


@dataclass(slots=True)
class _Part:
    """What one caller may use before Redis is asked again.

    Attributes:
        verdict: What Redis said.
        reset_at: When the count is lower, in seconds since the epoch.
        until_s: When Redis must be asked anyway, on the process's clock.
        used: Requests let through that Redis does not know of yet.
    """

    verdict: Verdict
    reset_at: float
    until_s: float
    used: int = 0

    def take(self, now_s: float) -> bool:
        """Use one request, if there is one to use."""
        if now_s >= self.until_s or self.used >= self.verdict.remaining // SHARES:
            return False
        self.used += 1
        return True


class RedisRateLimiter:
    """A sliding window of a minute for each caller."""

    def __init__(self, redis_url: str, clock: Clock) -> None:
        self._storage = RedisStorage(
            redis_url,
            wrap_exceptions=True,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
        )
        self._strategy = SlidingWindowCounterRateLimiter(self._storage)
        self._clock = clock
        self._asleep_until = -math.inf
        self._lock = Lock()
        self._parts: OrderedDict[tuple[str, int], _Part] = OrderedDict()

    def close(self) -> None:
        """Close the connections."""
        self._storage.storage.close()

    def hit(self, caller: str, per_minute: int) -> Verdict | None:
        """Count one request; None if Redis does not answer and nothing is known."""
        now_s = self._clock.monotonic()
        key = (caller, per_minute)
        with self._lock:
            part = self._parts.get(key)
            if part is not None and part.take(now_s):
                return self._current(part)
            self._parts.pop(key, None)
        if now_s < self._asleep_until:
            _UNCHECKED.inc()
            return None
        # What was used in a window that has passed no longer counts.
        untold = part.used if part and now_s < part.until_s + WINDOW_S else 0
        try:
            fresh = self._ask(caller, per_minute, untold, now_s)
        except StorageError as error:
            self._sleep(error)
            return None
        if fresh.verdict.allowed:
            self._keep(key, fresh)
        return self._current(fresh)

    def _ask(self, caller: str, per_minute: int, untold: int, now_s: float) -> _Part:
        item = RateLimitItemPerMinute(per_minute, namespace="kasparro:api")
        allowed = self._strategy.hit(item, caller, cost=untold + 1)
        if not allowed and untold:  # all or nothing: tell at least what was let through
            self._strategy.hit(item, caller, cost=untold)
        window = self._strategy.get_window_stats(item, caller)
        verdict = Verdict(
            allowed=allowed, limit=per_minute, remaining=max(0, window.remaining), reset_s=1
        )
        return _Part(verdict, window.reset_time, now_s + _TELL_EVERY_S)

    def _keep(self, key: tuple[str, int], part: _Part) -> None:
        with self._lock:
            other = self._parts.pop(key, None)  # of a thread that asked at the same time
            part.used = other.used if other else 0
            self._parts[key] = part
            if len(self._parts) > _MAX_CALLERS:
                self._parts.popitem(last=False)

    def _current(self, part: _Part) -> Verdict:
        said = part.verdict
        return Verdict(
            allowed=said.allowed,
            limit=said.limit,
            remaining=max(0, said.remaining - part.used),
            reset_s=max(1, math.ceil(part.reset_at - self._clock.now().timestamp())),
        )

    def _sleep(self, error: StorageError) -> None:
        self._asleep_until = self._clock.monotonic() + _PAUSE_S
        _UNCHECKED.inc()
        _log.warning("rate_limit_unchecked", reason=type(error.storage_error).__name__)
