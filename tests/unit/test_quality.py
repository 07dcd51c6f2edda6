from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import ConfigurationError
from tasks.core.rules import RecordRules
from tasks.core.settings import load_settings
from tasks.domain import quality
from tasks.domain.quality import Fault
from tasks.domain.records import Quote, Rejection

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIELDS = {field: f"vendor_{field}" for field in Quote._fields}
GOOD = Quote("orbit", "ORB", "Orbit", 1, Decimal(5), Decimal(6), Decimal(7), Decimal(-8), NOW)


def judged(**changes):
    return quality.quote_or_rejection(GOOD._replace(**changes), fields=FIELDS, fetched_at=NOW)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Bitcoin", "Bitcoin"),
        ("  two  words ", "two words"),
        ("\u200b\u200bStable", "Stable"),
        ("neo\xa0", "neo"),
        ("a\t\r\nb", "a b"),
        ("so\u00adft\ufeff", "soft"),
        ("\u202egnp\u202c", "gnp"),
        ("\u3000赵长娥\u2003", "赵长娥"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("\u200d x \u200c", "x"),
        ("bell\x07", "bell\x07"),
        (" \u2029 ", ""),
    ],
)
def test_what_cannot_be_seen_is_cleaned_away(text, cleaned):
    assert quality.clean(text) == cleaned


@given(st.text())
def test_cleaning_twice_changes_nothing(text):
    cleaned = quality.clean(text)
    assert quality.clean(cleaned) == cleaned
    assert cleaned.strip(" ") == cleaned


@given(st.text(max_size=30))
def test_text_without_fault_can_be_stored(text):
    if quality.text_fault(text, 20) is None:
        assert quality.clean(text)
        assert len(text) <= 20
        assert "\x00" not in text
        text.encode()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "required"),
        ("  ", "required"),
        ("\u200b", "required"),
        ("x" * 11, "width"),
        ("a\x00", "control"),
        ("a\x85b", "control"),
        ("a\ud800", "control"),
    ],
)
def test_text_that_cannot_be_stored_breaks_a_rule(text, rule):
    fault = quality.text_fault(text, 10)
    assert fault is not None
    assert fault.rule == rule


@pytest.mark.parametrize(
    "text", ["N/A", "null", "$$$", "🟥🟩", "a\xa0b", "赵长娥", "boringdao-[old]"]
)
def test_odd_text_is_no_fault(text):
    assert quality.text_fault(text, 100) is None


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "-0.0",
        "1e-12",
        "122780",
        "3.811533544015344e+38",
        "-99.99",
        "1e300",
        "1e-300",
        "9" * 100,
    ],
)
def test_numbers_vendors_send_are_kept(number):
    assert quality.number_fault(Decimal(number)) is None


@pytest.mark.parametrize(
    "number", ["NaN", "sNaN", "Infinity", "-Infinity", "1e301", "1e-400", "0e-9999", "9" * 101]
)
def test_numbers_that_cannot_be_stored_exactly_are_faults(number):
    fault = quality.number_fault(Decimal(number))
    assert fault is not None
    assert fault.rule == "range"
    assert len(fault.reason) < 200


@given(st.decimals())
def test_a_number_without_fault_fits_numeric(number):
    if quality.number_fault(number) is None:
        exponent = number.as_tuple().exponent
        assert isinstance(exponent, int)
        assert exponent >= -399
        assert number.adjusted() <= 300


def test_money_is_not_negative_but_may_be_missing_or_nothing():
    assert quality.money_fault(None) is None
    assert quality.money_fault(Decimal("-0.0")) is None
    assert quality.money_fault(Decimal("-1e-9")) == Fault("range", "is negative: '-1E-9'")
    assert quality.money_fault(Decimal("NaN")) is not None


@pytest.mark.parametrize(("rank", "good"), [(None, True), (1, True), (2**31, False), (0, False)])
def test_ranks_are_positive_and_fit_an_integer(rank, good):
    assert (quality.rank_fault(rank) is None) is good


def test_dates_lie_between_the_first_block_and_ten_minutes_from_now():
    ten_minutes = timedelta(minutes=10)

    def fault(moment, fetched_at=NOW):
        return quality.date_fault(moment, fetched_at=fetched_at)

    assert fault(NOW + ten_minutes) is None
    assert fault(NOW + ten_minutes + timedelta(seconds=1)) is not None
    assert fault(datetime(2008, 12, 31, tzinfo=UTC)) is not None
    assert fault(NOW + timedelta(days=400), fetched_at=None) is None
    assert fault(datetime(9999, 12, 31, tzinfo=timezone(timedelta(hours=-8))), None) is not None


def test_a_clean_quote_is_passed_on_as_it_is():
    assert quality.quote_or_rejection(GOOD, fields=FIELDS, fetched_at=NOW) is GOOD


def test_a_quote_is_cleaned_and_moved_to_utc():
    east = timezone(timedelta(hours=8))
    quote = judged(symbol=" orb\xa0", name="\u200bOrbit", observed_at=NOW.astimezone(east))
    assert quote == GOOD._replace(symbol="orb")
    assert quote.observed_at.tzinfo is UTC
    assert judged(observed_at=NOW.replace(tzinfo=None)) == GOOD


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("external_id", "x" * 201, "width"),
        ("external_id", " ", "required"),
        ("symbol", "x" * 101, "width"),
        ("name", "x" * 301, "width"),
        ("name", "\u200b", "required"),
        ("rank", -1, "range"),
        ("price_usd", Decimal(-1), "range"),
        ("market_cap_usd", Decimal("Infinity"), "range"),
        ("volume_24h_usd", Decimal("1e999"), "range"),
        ("percent_change_24h", Decimal("NaN"), "range"),
        ("observed_at", datetime(1970, 1, 1, tzinfo=UTC), "date"),
    ],
)
def test_a_rejection_names_the_vendors_field_and_our_rule(field, value, rule):
    rejection = judged(**{field: value})
    assert isinstance(rejection, Rejection)
    assert (rejection.field, rejection.rule) == (f"vendor_{field}", rule)
    assert rejection.reason.startswith(f"vendor_{field} ")
    assert rejection.external_id == (None if field == "external_id" else "orbit")


def test_long_values_are_shown_short_and_in_ascii():
    assert quality.shown("é") == "'\\xe9'"
    assert len(quality.shown("x" * 1000)) < 70


@pytest.mark.parametrize(
    ("rules", "field", "rule"),
    [
        (RecordRules(required=("rank", "volume_24h_usd")), "volume_24h_usd", "required"),
        (RecordRules(max_symbol_chars=2), "symbol", "width"),
        (RecordRules(max_name_chars=6), "name", "width"),
        (RecordRules(max_price_usd=Decimal("1.4")), "price_usd", "range"),
        (RecordRules(max_clock_skew_s=59), "observed_at", "date"),
    ],
)
def test_a_source_can_have_stricter_rules_of_its_own(rules, field, rule):
    observed_at = datetime(2026, 1, 1, tzinfo=UTC)
    fetched_at = observed_at - timedelta(minutes=1)
    price = Decimal("1.5")
    record = Quote("btc", "BTC", "Bitcoin", 1, price, None, None, None, observed_at)
    refusal = quality.breach(record, rules, fetched_at=fetched_at)
    assert (refusal.external_id, refusal.field, refusal.rule) == ("btc", field, rule)
    assert quality.breach(record, RecordRules(max_clock_skew_s=60), fetched_at=fetched_at) is None


def test_rules_of_a_source_are_read_from_its_settings(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://host/kasparro")
    monkeypatch.setenv("REDIS_URL", "redis://host")
    monkeypatch.setenv("CSV_REQUIRED_FIELDS", "price_usd, rank")
    monkeypatch.setenv("CSV_MAX_PRICE_USD", "1e6")
    rules = load_settings().sources["csv"].rules
    assert (rules.required, rules.max_price_usd) == (("price_usd", "rank"), Decimal(10**6))
    monkeypatch.setenv("CSV_REQUIRED_FIELDS", "colour")
    with pytest.raises(ConfigurationError, match="CSV_REQUIRED_FIELDS"):
        load_settings()
