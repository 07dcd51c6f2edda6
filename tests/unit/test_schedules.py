from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.schedules import parse_schedule

MOMENTS = st.datetimes(
    min_value=datetime(2020, 1, 1),
    max_value=datetime(2035, 1, 1),
    timezones=st.just(UTC),
)
SCHEDULES = st.sampled_from(
    [
        "15",
        "900",
        "21600",
        "0 */6 * * *",
        "*/7 1-5 * * 1,3",
        "30 12 1 * *",
        "0 0 13 * 5",
        "5/20 * * * *",
    ]
)


@given(SCHEDULES, MOMENTS)
def test_a_moment_lies_between_its_slot_and_the_following_one(text, moment):
    schedule = parse_schedule(text)
    assert schedule.previous(moment) <= moment < schedule.following(moment)


@given(SCHEDULES, MOMENTS)
def test_every_moment_between_two_slots_names_the_same_slot(text, moment):
    schedule = parse_schedule(text)
    slot, following = schedule.previous(moment), schedule.following(moment)
    assert schedule.previous(following - timedelta(microseconds=1)) == slot
    assert schedule.previous(following) == following


@pytest.mark.parametrize(
    ("text", "moment", "slot"),
    [
        ("0 */6 * * *", "2026-03-01T05:59:59+00:00", "2026-03-01T00:00:00+00:00"),
        ("0 0 29 2 *", "2027-01-01T00:00:00+00:00", "2024-02-29T00:00:00+00:00"),
        ("0 12 * * 0", "2026-11-21T13:00:00+00:00", "2026-11-15T12:00:00+00:00"),
        ("0 12 * * 7", "2026-11-21T13:00:00+00:00", "2026-11-15T12:00:00+00:00"),
        ("0 0 13 * 5", "2026-11-21T13:00:00+00:00", "2026-11-20T00:00:00+00:00"),
        ("3600", "2026-11-21T13:59:59+00:00", "2026-11-21T13:00:00+00:00"),
    ],
)
def test_a_slot_is_the_latest_moment_the_schedule_names(text, moment, slot):
    previous = parse_schedule(text).previous(datetime.fromisoformat(moment))
    assert previous == datetime.fromisoformat(slot)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "neither seconds nor"),
        ("0", "at least 1 second"),
        ("* * * *", "five fields"),
        ("61 * * * *", "outside 0-59"),
        ("*/0 * * * *", "outside 0-59"),
        ("a * * * *", "not a minute"),
        ("0 0 31 2 *", "never comes"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_with_a_sentence(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_schedule(text)
