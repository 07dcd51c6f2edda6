"""Numbers as people write them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.domain import amounts


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3,819.67", "3819.67"),
        ("$39,712.91", "39712.91"),
        ("-$1.5", "-1.5"),
        ("$-1.5", "-1.5"),
        ("US$ 12", "12"),
        ("+2.01%", "2.01"),
        ("\u22122.22 %", "-2.22"),
        ("$739.26B", "739260000000"),
        ("95.38K", "95380"),
        ("1.82m", "1820000"),
        ("2T", "2000000000000"),
        ("9.722410112328183e-10", "9.722410112328183e-10"),
        ("1.83E+11", "183000000000"),
        ("1e-12", "0.000000000001"),
        ("13303342308.00000000000000", "13303342308"),
        ("0.0000000009720", "9.72e-10"),
        (".5", "0.5"),
        ("1'234.5", "1234.5"),
        ("1\u202f234\u202f567,89", "1234567.89"),
        ("1.234.567,89", "1234567.89"),
        ("100,94", "100.94"),
        ("0,123", "0.123"),
        ("00", "0"),
    ],
)
def test_a_number_is_read_digit_by_digit(text, number):
    assert amounts.parse(text) == Decimal(number)


@pytest.mark.parametrize(
    "text", ["", " ", "-", "--", "- -", "N/A", "nan", "NULL", "None", "\u2014"]
)
def test_some_cells_say_that_there_is_no_number(text):
    assert amounts.parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "$541.43B$541426059990",
        "18,777,093.00 BTC",
        "Bitcoin1BTC",
        "€5",
        "1.2.3",
        "1.5 555",
        "1,2,3",
        "12,34,567.89",
        "1 2",
        "+-5",
        "$",
        "5 million",
        "0x10",
        "Infinity",
        "\u0661\u0662",
    ],
)
def test_what_is_not_one_number_of_dollars_is_refused(text):
    with pytest.raises(ValueError, match="is not one number"):
        amounts.parse(text)


def test_the_file_decides_what_a_lone_separator_means():
    assert amounts.parse("1,234") == 1234
    assert amounts.parse("1,234", decimal_mark=",") == Decimal("1.234")
    assert amounts.parse("1.234", decimal_mark=",") == 1234
    with pytest.raises(ValueError, match="can be read"):
        amounts.parse("1,234", decimal_mark="")


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("0,5", ","),
        ("1.234,5", ","),
        ("100.94", "."),
        ("1,234,567", "."),
        ("1,234", ""),
        ("1,2,3", ""),
        ("none", ""),
    ],
)
def test_the_shape_of_a_number_may_prove_its_decimal_mark(text, mark):
    assert amounts.evidence(text) == mark


decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20)


@given(decimals)
def test_every_decimal_survives_being_written_and_read(number):
    assert amounts.parse(str(number)) == number
    assert amounts.parse(f"{number:f}") == number


@given(decimals, st.sampled_from(["", "$"]), st.sampled_from(["", "%"]))
def test_thousands_separators_and_signs_change_nothing(number, prefix, suffix):
    assert amounts.parse(f"{prefix}{number:,f}{suffix}", decimal_mark=".") == number


@given(decimals)
def test_a_decimal_comma_changes_nothing_where_the_file_uses_it(number):
    german = f"{number:,f}".translate(str.maketrans(",.", ".,"))
    assert amounts.parse(german, decimal_mark=",") == number


@given(st.text(max_size=40) | st.from_regex(r"[-+$]?[\d.,' ]{1,20}[KMBT%e]?", fullmatch=True))
def test_any_text_is_a_number_nothing_or_refused(text):
    for mark in (".", ",", ""):
        try:
            number = amounts.parse(text, decimal_mark=mark)
        except ValueError:
            continue
        assert number is None or number.is_finite()
