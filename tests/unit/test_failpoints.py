import re
from pathlib import Path

import pytest

from tasks.core import failpoints
from tasks.core.errors import (
    ConfigurationError,
    InvalidInputError,
    RateLimitedError,
    TransientError,
    UnavailableError,
    UnreadablePageError,
)
from tasks.core.failpoints import FailureInjection
from tasks.core.settings import load_settings

POINT = failpoints.BEFORE_LOAD


def wanted(**values):
    return FailureInjection(enabled=True, **values)


def fired(injection, facts=(), times=200):
    """At which of many places a failure came."""
    places = []
    with failpoints.armed(injection, *facts):
        for place in range(times):
            try:
                failpoints.reach(POINT)
            except TransientError:
                places.append(place)
    return places


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("network_error", TransientError),
        ("database_error", UnavailableError),
        ("timeout", UnavailableError),
        ("rate_limit", RateLimitedError),
        ("validation_error", UnreadablePageError),
    ],
)
def test_each_type_raises_what_it_stands_for(kind, error):
    with failpoints.armed(wanted(type=kind)), pytest.raises(error, match=POINT):
        failpoints.reach(POINT)


def test_nothing_fails_unless_it_is_wanted():
    failpoints.reach(POINT)
    with failpoints.armed(FailureInjection()):
        failpoints.reach(POINT)
        assert not failpoints.is_armed()
    with failpoints.armed(wanted(point=failpoints.BEFORE_FETCH)):
        failpoints.reach(POINT)
    assert not failpoints.is_armed()


def test_the_wanted_record_fails_and_no_other():
    passed = []
    with failpoints.armed(wanted(at_record=3)):
        failpoints.reach(POINT)
        watched = failpoints.records([1, 2, 3, 4], lambda number: number)
        with pytest.raises(TransientError, match="at_record"):
            passed.extend(watched)
    assert passed == [1, 2]


def test_records_are_untouched_when_nothing_is_wanted():
    items = [1, 2]
    assert failpoints.records(items, lambda number: number) is items


def test_a_seed_makes_the_same_choices_again_and_others_for_other_work():
    injection = wanted(probability=0.3, seed=5)
    first = fired(injection, ("coingecko", 1))
    assert first == fired(injection, ("coingecko", 1))
    assert first != fired(injection, ("coingecko", 2))
    assert 30 < len(first) < 90


@pytest.mark.parametrize(("probability", "count"), [(0.0, 0), (1.0, 200)])
def test_a_probability_of_none_and_of_all(probability, count):
    assert len(fired(wanted(probability=probability))) == count


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"point": "nowhere"}, "failure.point"),
        ({"type": "explosion"}, "failure.type"),
        ({"probability": 1.5}, "failure.probability"),
        ({"probability": True}, "failure.probability"),
        ({"at_record": 0}, "failure.at_record"),
        ({"seed": "x"}, "failure.seed"),
        ({"enabled": True}, "failure.enabled"),
    ],
)
def test_an_override_that_cannot_be_names_its_value(values, field):
    with pytest.raises(InvalidInputError) as refusal:
        failpoints.parse_override(values)
    assert refusal.value.context["field"] == field


def test_an_override_takes_what_the_settings_take():
    values = {"point": POINT, "type": "timeout", "probability": 0.5, "at_record": 7, "seed": 1}
    assert failpoints.parse_override(values) == wanted(**values)


def test_settings_name_a_failpoint_that_there_is_not(monkeypatch):
    monkeypatch.setenv("FAILURE_POINT", "nowhere")
    with pytest.raises(ConfigurationError, match="FAILURE_POINT"):
        load_settings()


def test_production_refuses_failures_unless_they_are_allowed(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://host/kasparro")
    monkeypatch.setenv("REDIS_URL", "redis://host")
    monkeypatch.setenv("ENVIRONMENT", "production")
    assert not load_settings().failures.allowed
    monkeypatch.setenv("CHAOS_MODE", "true")
    with pytest.raises(ConfigurationError, match="ALLOW_FAILURE_INJECTION"):
        load_settings()
    monkeypatch.setenv("ALLOW_FAILURE_INJECTION", "true")
    assert load_settings().failures.enabled


def test_every_failpoint_has_one_place_and_every_place_a_name():
    """That each is also reached is for the integration test, which is killed at every one."""
    constants = {
        name: value
        for name, value in vars(failpoints).items()
        if name.isupper() and value in failpoints.NAMES
    }
    assert sorted(constants.values()) == sorted(failpoints.NAMES)
    sources = Path(failpoints.__file__).parents[1].rglob("*.py")
    used = [
        name
        for path in sources
        for name in re.findall(r"failpoints\.reach\(failpoints\.(\w+)\)", path.read_text())
    ]
    assert sorted(used) == sorted(set(constants) - {"AT_RECORD"})
