import random

import pytest

from tasks.core.errors import (
    BudgetSpentError,
    BudgetWaitError,
    LostClaimError,
    PermanentError,
    RateLimitedError,
    TransientError,
    UnavailableError,
    UnreadablePageError,
)
from tasks.domain.retries import MAX_FAILURES, Again, GiveUp, decide


@pytest.mark.parametrize(
    "error", [PermanentError(), UnreadablePageError(), BudgetSpentError(), LostClaimError()]
)
def test_what_would_fail_again_is_given_up_at_once(error):
    assert decide(error, failures=0, chance=random.Random(1)) == GiveUp()


@pytest.mark.parametrize("error", [TransientError(), UnavailableError()])
@pytest.mark.parametrize("failures", range(MAX_FAILURES - 1))
def test_waits_between_attempts_grow_and_stay_bounded(error, failures):
    decision = decide(error, failures=failures, chance=random.Random(1))
    assert isinstance(decision, Again)
    assert decision.counts
    longest = min(2 * 2**failures, 45)
    assert longest / 2 <= decision.delay_s <= longest


def test_the_last_failure_is_given_up():
    assert decide(TransientError(), failures=MAX_FAILURES - 1, chance=random.Random(1)) == GiveUp()


def test_a_source_that_asks_for_silence_gets_it():
    decision = decide(RateLimitedError(retry_after_s=17), failures=1, chance=random.Random(1))
    assert decision == Again(17, counts=True)


def test_waiting_for_budget_is_no_failure_however_often():
    error = BudgetWaitError(retry_after_s=300)
    assert decide(error, failures=50, chance=random.Random(1)) == Again(45, counts=False)
