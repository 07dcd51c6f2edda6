"""Dates as files and feeds write them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.domain import dates


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Aug 26, 2017", (2017, 8, 26)),
        ("24-Apr-19", (2019, 4, 24)),
        ("9-Aug-19", (2019, 8, 9)),
        ("31 December 2023", (2023, 12, 31)),
        ("2013-04-28 00:00:00 UTC", (2013, 4, 28)),
        ("2023-08-02 10:29:14.984399 +0000 UTC", (2023, 8, 2, 10, 29, 14, 984399)),
        ("2026-11-20T10:00:00+08:00", (2026, 11, 20, 2)),
        ("2026/11/20", (2026, 11, 20)),
        ("20261120", (2026, 11, 20)),
        ("1512549554", (2017, 12, 6, 8, 39, 14)),
        ("1618380000.0", (2021, 4, 14, 6)),
        ("1618380000123", (2021, 4, 14, 6, 0, 0, 123000)),
        ("12/31/2023", (2023, 12, 31)),
        ("31/12/2023 1:05 PM", (2023, 12, 31, 13, 5)),
        ("12/31/2023 12:00 AM", (2023, 12, 31)),
        ("01.05.2025", (2025, 5, 1)),
        ("05/05/2025", (2025, 5, 5)),
        ("Thu, 07 Dec 17 10:00:29 -0800", (2017, 12, 7, 18, 0, 29)),
        ("Sat, Dec 16 2023 02:02:33 PM", (2023, 12, 16, 14, 2, 33)),
        ("Wed, 02 Oct 2002 08:00:00 EST", (2002, 10, 2, 13)),
        ("Mon, 13 Mar 2023 10:13:50 GMT", (2023, 3, 13, 10, 13, 50)),
    ],
)
def test_a_date_is_read_as_aware_utc(text, moment):
    assert dates.parse(text) == datetime(*moment, tzinfo=UTC)
    assert dates.parse(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2025-02-30",
        "32/13/2025",
        "Smarch 13, 2020",
        "12:00",
        "1.5",
        "05/13/2025 25:00",
        "05/13/2025 13:00 PM",
    ],
)
def test_what_is_no_date_is_refused(text):
    with pytest.raises(ValueError, match="is not a da"):
        dates.parse(text)


@pytest.mark.parametrize("zone", ["XYZ", "+99:00"])
def test_a_time_zone_without_a_definition_is_refused(zone):
    with pytest.raises(ValueError, match="time zone"):
        dates.parse(f"Mon, 13 Mar 2023 10:13:50 {zone}")


def test_an_ambiguous_date_needs_a_proof():
    with pytest.raises(ValueError, match="nothing in the file proves"):
        dates.parse("05/01/2025")
    assert dates.parse("05/01/2025", order="mdy") == datetime(2025, 5, 1, tzinfo=UTC)
    assert dates.parse("05/01/2025", order="dmy") == datetime(2025, 1, 5, tzinfo=UTC)


def test_a_proven_order_is_not_turned_round_for_a_date_that_does_not_fit():
    with pytest.raises(ValueError, match="calendar"):
        dates.parse("13/01/2025", order="mdy")


@pytest.mark.parametrize(
    ("texts", "order"),
    [
        (["05/01/2025", "13/01/2025"], "dmy"),
        (["05/01/2025", "01/13/2025"], "mdy"),
        (["05/01/2025", "06/01/2025"], ""),
        (["13/01/2025", "01/13/2025"], ""),
        (["2025-01-13", "x"], ""),
    ],
)
def test_one_day_above_twelve_proves_the_order_unless_contradicted(texts, order):
    assert dates.proven_order(texts) == order


@given(st.datetimes(min_value=datetime(2001, 9, 10), max_value=datetime(2286, 1, 1)))
def test_every_iso_date_survives_being_written_and_read(moment):
    moment = moment.replace(tzinfo=UTC)
    assert dates.parse(moment.isoformat()) == moment
    assert dates.parse(moment.strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC")) == moment
    assert dates.parse(str(int(moment.timestamp()))) == moment.replace(microsecond=0)


@given(st.text(max_size=40) | st.from_regex(r"\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}( \d\d:\d\d)?"))
def test_any_text_is_a_date_or_refused(text):
    try:
        moment = dates.parse(text)
    except ValueError:
        return
    assert moment.tzinfo is UTC
