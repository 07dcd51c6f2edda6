"""How often a source may be called, counted once for all workers.

**The guarantee.** The upstream never sees more than N calls in any stretch of W seconds (here 60).

*Why it holds.* Redis keeps the times of the last N grants and, in one atomic script on its own
clock, grants a call only if the N-th last grant is at least W + J old. So of any N + 1 grants the
first and the last, made at ``g`` and ``g'``, satisfy ``g' - g >= W + J``. A call reaches the
upstream some time ``d`` after its grant, with ``0 <= d <= J``: the two are seen at ``g + d`` and
``g' + d'``, and ``(g' + d') - (g + d) >= W + J - J = W``. No window of W seconds, one end excluded,
holds both. N calls may come at once; a token bucket would have to spread them and give up half the
rate to promise the same. J is 3 s, the longest a connection may take to be made: 5 % of the rate.

*Where it ends.* It holds over any number of processes, and when the server's clock is set back
(the calls then count as just made). It does not hold when that clock is set forward, when a call
takes longer than J to leave, or over an emptied Redis; the vendor's 429 then freezes everyone.

The month is the UTC calendar month of the caller's clock. Its count is lost with Redis' memory,
where the vendor's own count stands, and answers 402 or 429.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import redis

from tasks.coordination import keys
from tasks.coordination.redis_client import script, translated
from tasks.core.clock import Clock
from tasks.core.errors import BudgetSpentError, BudgetWaitError
from tasks.core.logging import get_logger

WINDOW_S = 60.0
JITTER_S = 3.0
LONGEST_SLEEP_S = 2.0
"""Longer waits are given back to the caller, whose worker has better things to do."""
MONTH_KEPT_S = 40 * 24 * 3600

logger = get_logger(__name__)


class Remaining(NamedTuple):
    """What is left of a budget; None for no limit.

    Attributes:
        in_window: Calls that could be made at once.
        in_month: Calls in the rest of the calendar month.
        frozen_for_s: Seconds until the source may be called again after it asked for silence.
    """

    in_window: int | None
    in_month: int | None
    frozen_for_s: float


@dataclass(frozen=True, kw_only=True)
class CallLimits:
    """What a source allows.

    Attributes:
        rate: Calls per window; None for no limit.
        monthly: Calls per calendar month; None for no limit.
        window_s: The vendor's window.
        jitter_s: The longest a granted call may take to reach the upstream.
    """

    rate: int | None
    monthly: int | None
    window_s: float = WINDOW_S
    jitter_s: float = JITTER_S


class RedisBudget:
    """The budget of one source.

    Args:
        client: As :func:`tasks.coordination.redis_client.create_redis_client` makes it.
        clock: Sleeps short waits and names the month.
        source: The source's name.
        limits: What it allows.
        observe_wait: Told the source and the seconds of every wait slept here; whoever is given a
            wait back counts it.
    """

    def __init__(
        self,
        client: redis.Redis,
        clock: Clock,
        source: str,
        limits: CallLimits,
        *,
        observe_wait: Callable[[str, float], None] = lambda _source, _seconds: None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._source = source
        self._rate = limits.rate
        self._monthly = limits.monthly
        self._window_us = round((limits.window_s + limits.jitter_s) * 1_000_000)
        self._observe_wait = observe_wait
        self._take = client.register_script(script("take_call"))
        self._extend = client.register_script(script("extend"))

    def acquire(self) -> None:
        """Take one call, waiting for at most two seconds.

        A source without limits is never asked about in Redis.

        Raises:
            BudgetWaitError: When the wait would be longer, with ``retry_after_s``.
            BudgetSpentError: When the month's calls are made.
            UnavailableError: When Redis does not answer; without it no call is safe.
        """
        if not self._is_limited:
            return
        slept_s = 0.0
        while (wait_s := self._ask()) > 0:
            if slept_s + wait_s > LONGEST_SLEEP_S:
                logger.info("budget_wait_returned", source=self._source, wait_s=wait_s)
                raise BudgetWaitError(
                    f"The calls to {self._source} are used up for {wait_s:.1f} s",
                    retry_after_s=wait_s,
                    source=self._source,
                )
            logger.info("budget_waited", source=self._source, wait_s=wait_s)
            self._observe_wait(self._source, wait_s)
            self._clock.sleep(wait_s)
            slept_s += wait_s

    def freeze(self, seconds: float) -> None:
        """Let nobody call the source for so long; a longer freeze already in force stays.

        Raises:
            UnavailableError: When Redis does not answer.
        """
        if self._is_limited:
            with translated():
                self._extend(keys=[keys.freeze(self._source)], args=[max(1, round(seconds * 1000))])

    def remaining(self) -> Remaining:
        """Tell what is left, for people and metrics; it may be old when it arrives.

        Raises:
            UnavailableError: When Redis does not answer.
        """
        if not self._is_limited:
            return Remaining(None, None, 0.0)
        with translated(), self._client.pipeline() as pipeline:
            pipeline.time()
            pipeline.lrange(keys.calls(self._source), 0, (self._rate or 1) - 1)
            pipeline.get(self._month_key())
            pipeline.pttl(keys.freeze(self._source))
            (seconds, microseconds), calls, spent, frozen_ms = pipeline.execute()
        left_at_us = seconds * 1_000_000 + microseconds - self._window_us
        used = sum(int(call) > left_at_us for call in calls)
        return Remaining(
            None if self._rate is None else max(0, self._rate - used),
            None if self._monthly is None else max(0, self._monthly - int(spent or 0)),
            max(0, frozen_ms) / 1000,
        )

    @property
    def _is_limited(self) -> bool:
        return self._rate is not None or self._monthly is not None

    def _ask(self) -> float:
        args: list[Any] = [self._rate or 0, self._window_us, self._monthly or 0, MONTH_KEPT_S]
        used = [keys.calls(self._source), self._month_key(), keys.freeze(self._source)]
        with translated():
            wait_us = self._take(keys=used, args=args)
        if wait_us < 0:
            raise BudgetSpentError(
                f"The {self._monthly} calls to {self._source} of this month are made",
                source=self._source,
                monthly_budget=self._monthly,
            )
        # A millisecond more, because the sleep and the server's clock are not the same clock.
        return wait_us / 1_000_000 + 0.001 if wait_us else 0.0

    def _month_key(self) -> str:
        return keys.month(self._source, f"{self._clock.now():%Y-%m}")
