import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.coordination import keys
from tasks.coordination.budget import CallLimits, RedisBudget, Remaining
from tasks.coordination.redis_client import create_redis_client
from tasks.core.clock import system_clock
from tasks.core.errors import (
    BudgetSpentError,
    BudgetWaitError,
    ConfigurationError,
    UnavailableError,
)
from tests.support.clocks import FakeClock

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def client(redis_url):
    client = create_redis_client(redis_url)
    yield client
    client.close()


@pytest.fixture
def clock():
    return FakeClock()


def budget_of(client, clock, *, rate=None, monthly=None, **limits):
    return RedisBudget(
        client, clock.clock(), "vendor", CallLimits(rate=rate, monthly=monthly, **limits)
    )


def take_all(budget):
    """Acquire until refused; returns how many were granted and how long to wait then."""
    for granted in range(10_000):
        try:
            budget.acquire()
        except BudgetWaitError as error:
            return granted, error.retry_after_s
    raise AssertionError("never refused")


def test_the_rate_may_be_used_at_once_and_not_once_more(client, clock):
    granted, wait_s = take_all(budget_of(client, clock, rate=5))
    assert granted == 5
    assert 60 < wait_s < 63.1
    assert clock.slept == []


def test_all_workers_share_one_budget(client, clock, redis_url):
    other = create_redis_client(redis_url)
    budgets = [budget_of(client, clock, rate=4), budget_of(other, clock, rate=4)]
    for budget in budgets * 2:
        budget.acquire()
    for budget in budgets:
        with pytest.raises(BudgetWaitError):
            budget.acquire()
    other.close()


def test_sources_do_not_share(client, clock):
    take_all(budget_of(client, clock, rate=1))
    RedisBudget(client, clock.clock(), "other", CallLimits(rate=1, monthly=None)).acquire()


def test_a_short_wait_is_slept_and_a_long_one_is_given_back(client):
    waits = []
    budget = RedisBudget(
        client,
        system_clock(),
        "vendor",
        CallLimits(rate=2, monthly=None, window_s=0.1, jitter_s=0.01),
        observe_wait=lambda source, seconds: waits.append((source, seconds)),
    )
    for _ in range(5):
        budget.acquire()
    assert {source for source, _ in waits} == {"vendor"}
    assert all(0 < seconds < 0.12 for _, seconds in waits)


def test_sleeps_add_up_before_the_wait_is_given_back(client, clock):
    budget = budget_of(client, clock, rate=1, window_s=0.8, jitter_s=0)
    budget.acquire()
    with pytest.raises(BudgetWaitError):
        budget.acquire()
    assert 0 < sum(clock.slept) <= 2


def test_a_lowered_rate_holds_at_once(client, clock):
    for _ in range(3):
        budget_of(client, clock, rate=10).acquire()
    with pytest.raises(BudgetWaitError):
        budget_of(client, clock, rate=2).acquire()


def test_calls_of_a_clock_that_was_set_back_count_as_made_now(client, clock):
    seconds, _ = client.time()
    client.rpush(keys.calls("vendor"), *[(seconds + 7200) * 1_000_000] * 3)
    granted, wait_s = take_all(budget_of(client, clock, rate=5))
    assert granted == 2
    assert wait_s < 63.1


def test_the_month_ends_the_calls_and_a_new_month_brings_new_ones(client, clock):
    budget = budget_of(client, clock, monthly=2)
    budget.acquire()
    budget.acquire()
    with pytest.raises(BudgetSpentError) as raised:
        budget.acquire()
    assert raised.value.context["monthly_budget"] == 2
    clock.elapsed_s += 11 * 24 * 3600
    budget.acquire()
    assert budget.remaining().in_month == 1
    assert client.ttl(keys.month("vendor", "2026-12")) > 31 * 24 * 3600


def test_a_refused_call_costs_nothing_of_the_month(client, clock):
    budget = budget_of(client, clock, rate=1, monthly=5)
    take_all(budget)
    take_all(budget)
    assert budget.remaining().in_month == 4


def test_a_freeze_holds_for_everyone_and_is_never_shortened(client, clock):
    budget = budget_of(client, clock, rate=5)
    budget.freeze(100)
    budget.freeze(1)
    with pytest.raises(BudgetWaitError) as raised:
        budget_of(client, clock, rate=5).acquire()
    assert 99 < raised.value.retry_after_s <= 100.1
    assert 99 < budget.remaining().frozen_for_s <= 100


def test_what_remains_is_told(client, clock):
    budget = budget_of(client, clock, rate=3, monthly=10)
    assert budget.remaining() == Remaining(3, 10, 0.0)
    budget.acquire()
    assert budget.remaining() == Remaining(2, 9, 0.0)


def test_without_redis_no_call_is_granted(clock):
    budget = budget_of(create_redis_client(NOWHERE), clock, rate=1)
    for ask in (budget.acquire, budget.remaining, lambda: budget.freeze(1)):
        with pytest.raises(UnavailableError):
            ask()


def test_a_source_without_limits_needs_no_redis(clock):
    budget = budget_of(create_redis_client(NOWHERE), clock)
    budget.acquire()
    budget.freeze(1)
    assert budget.remaining() == Remaining(None, None, 0.0)


def test_a_server_of_another_kind_is_refused():
    with pytest.raises(ConfigurationError) as raised:
        create_redis_client("sentinel://127.0.0.1:26379")
    assert "REDIS_URL" in raised.value.problems[0]


@given(
    rate=st.integers(1, 6),
    window_ms=st.integers(5, 40),
    jitter_ms=st.integers(0, 10),
    workers=st.integers(1, 3),
    pattern=st.lists(st.integers(1, 6), min_size=1, max_size=3),
)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_window_ever_sees_more_than_the_rate(
    client, rate, window_ms, jitter_ms, workers, pattern
):
    client.flushall()
    limits = CallLimits(
        rate=rate, monthly=None, window_s=window_ms / 1000, jitter_s=jitter_ms / 1000
    )
    calls = []

    def work():
        # Each burst asks without pause: this clock does not wait, so most asking is refused, and
        # a grant comes at the first moment it can.
        budget = RedisBudget(client, FakeClock().clock(), "vendor", limits)
        for burst in pattern:
            for _ in range(burst):
                asked_at = time.monotonic()
                try:
                    budget.acquire()
                except BudgetWaitError:
                    continue
                calls.append((asked_at, time.monotonic()))

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A grant was made between asking and returning, so this can only blame a true excess.
    calls.sort()
    apart_s = (window_ms + jitter_ms) / 1000
    for first in range(len(calls) - rate):
        group = calls[first : first + rate + 1]
        assert max(returned for _, returned in group) - group[0][0] >= apart_s
