"""Whether to try again, and when: a value, decided by a pure function."""

import random
from dataclasses import dataclass

from tasks.core.errors import BudgetWaitError, KasparroError, RateLimitedError, TransientError

MAX_FAILURES = 5
_BASE_S = 2.0
_LONGEST_S = 45.0  # with the hard limit of a task it stays below the broker's visibility time-out


@dataclass(frozen=True)
class Again:
    """Try the stage again after ``delay_s``; ``counts`` tells a failure from mere waiting."""

    delay_s: float
    counts: bool


@dataclass(frozen=True)
class GiveUp:
    """The run ends here."""


Decision = Again | GiveUp


def decide(error: KasparroError, *, failures: int, chance: random.Random) -> Decision:
    """Decide what follows a failed stage.

    A source that asks for silence is waited for in steps of at most 45 s, because a message that
    rests longer than the visibility time-out would be delivered twice. Waiting for budget is no
    failure. Everything else transient is tried again after 2, 4, 8 … s, half of it random.

    Args:
        error: What the stage raised.
        failures: How often this stage of this page has failed before.
        chance: Source of the jitter.
    """
    if isinstance(error, BudgetWaitError):
        return Again(min(max(error.retry_after_s, 0.1), _LONGEST_S), counts=False)
    if not isinstance(error, TransientError) or failures + 1 >= MAX_FAILURES:
        return GiveUp()
    if isinstance(error, RateLimitedError):
        return Again(min(error.retry_after_s, _LONGEST_S), counts=True)
    longest = min(_BASE_S * 2**failures, _LONGEST_S)
    return Again(longest * (0.5 + chance.random() / 2), counts=True)
