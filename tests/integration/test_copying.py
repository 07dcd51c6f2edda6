"""Rows that ``COPY`` takes: every text arrives as it was, and nothing arrives that was not sent."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tasks.store import arrays, copying

pytestmark = pytest.mark.integration

_CONTROL = [chr(code) for code in range(0x20)]
_TEXTS = st.text(
    st.one_of(
        st.sampled_from('\\"nrtubfx,.\n') | st.characters(exclude_categories=["Cs"]),
    )
).filter(lambda value: not any(char in value for char in _CONTROL))
_NUMBERS = st.decimals(allow_nan=False, allow_infinity=False).filter(
    lambda number: abs(number.adjusted()) < 300
)


@pytest.fixture
def table(session):
    session.execute(
        text(
            "create temp table copied (place int, a text, b text[], c numeric, d bytea,"
            " e timestamptz)"
        )
    )


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(
        st.tuples(
            st.one_of(st.none(), _TEXTS, st.sampled_from(["null", "NULL", "", "\\.", "\\N"])),
            st.lists(_TEXTS, max_size=3),
            st.one_of(st.none(), _NUMBERS),
            st.binary(max_size=5),
            st.one_of(st.none(), st.datetimes(timezones=st.just(UTC))),
        ),
        max_size=5,
    )
)
def test_what_is_sent_arrives(session, table, rows):
    session.execute(text("truncate copied"))
    sent = [
        (place, a, arrays.texts(b), c, copying.binary(d), e)
        for place, (a, b, c, d, e) in enumerate(rows)
    ]
    copying.copy(session, "copied", ("place", "a", "b", "c", "d", "e"), sent)
    found = session.execute(text("select a, b, c, d, e from copied order by place")).all()
    assert [(a, b, c, bytes(d), e) for a, b, c, d, e in found] == rows


@pytest.mark.parametrize("char", ["\x00", "\x01", "\b", "\t", "\n", "\f", "\r", "\x1f"])
@pytest.mark.parametrize("before", ["", "\\", "\\\\"])
def test_a_control_character_is_refused(session, table, before, char):
    row = [(1, f"a{before}{char}", "{}", Decimal(1), "\\x", datetime.now(UTC))]
    with pytest.raises(ValueError, match="control character"):
        copying.copy(session, "copied", ("place", "a", "b", "c", "d", "e"), row)


def test_letters_after_a_backslash_are_letters(session, table):
    texts = ["\\n", "\\\\t", "a\\u0001", "\\\\\\r"]
    copying.copy(session, "copied", ("place", "a"), list(enumerate(texts)))
    assert session.scalars(text("select a from copied order by place")).all() == texts


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(bodies=st.lists(st.binary(max_size=5_000), max_size=4))
def test_bytes_are_received_as_they_were_sent(session, table, bodies):
    session.execute(text("truncate copied"))
    rows = [(place, copying.binary(body)) for place, body in enumerate(bodies)]
    copying.copy(session, "copied", ("place", "d"), rows)
    received = copying.receive(session, "select place, d from copied order by place")
    assert [(int.from_bytes(place), body) for place, body in received] == list(enumerate(bodies))


def test_a_query_that_the_server_refuses_fails_as_any_other(session):
    with pytest.raises(ProgrammingError):
        list(copying.receive(session, "select nothing from nowhere"))
