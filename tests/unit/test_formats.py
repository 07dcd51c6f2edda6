"""Exports and JSON."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from service import encoding, formats

decimals = st.decimals(allow_nan=False, allow_infinity=False, places=18) | st.sampled_from(
    [Decimal("1.2E-10"), Decimal("0.0"), Decimal("1E-12"), Decimal("3.8e38"), Decimal("-0")]
)


@given(value=decimals)
def test_a_decimal_is_a_json_number_with_all_its_digits(value):
    text = encoding.encode({"price": value})
    assert json.loads(text, parse_float=Decimal, parse_int=Decimal)["price"] == value
    assert b'"' + str(value).encode() + b'"' not in text


@given(rows=st.lists(st.tuples(st.text(), decimals), max_size=20))
def test_no_text_of_a_csv_is_a_formula_and_nothing_else_changes(rows):
    text = b"".join(formats.write("csv", {"name": "text", "price": "decimal"}, rows)).decode()
    read = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert len(read) == len(rows)
    for (name, price), (cell, number) in zip(rows, read, strict=True):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert cell in {name, f"'{name}"}
        assert Decimal(number) == price
        assert "E" not in number


def test_parquet_keeps_decimals_times_and_lists():
    columns = {"at": "time", "price": "decimal", "sources": "list", "rank": "integer", "id": "text"}
    moment = datetime(2026, 1, 1, 12, 30, 0, 5, tzinfo=UTC)
    rows = [(moment, Decimal("1.2e-10"), ["csv"], 1, "BTC"), (None, None, [], None, None)]
    body = b"".join(formats.write("parquet", columns, iter(rows)))
    read = parquet.read_table(io.BytesIO(body)).to_pylist()
    assert read[0]["price"] == Decimal("1.2e-10")
    assert (read[0]["at"], read[0]["sources"], read[0]["rank"]) == (moment, ["csv"], 1)
    assert read[1]["price"] is None


MEDIA = (*formats.MEDIA_TYPES.values(), "text/html", "*/*", "application/*", "text/*", "x/y", "")
wishes = st.tuples(st.sampled_from(MEDIA), st.sampled_from(("", ";q=0.5", ";q=0", ";a=b")))


@given(items=st.lists(wishes.map("".join), max_size=4))
def test_the_usual_wishes_are_understood_without_reading_them_all(items):
    accept = ", ".join(items)
    known = parse_accept_header(accept, MIMEAccept)
    best = known.best_match([*formats.MEDIA_TYPES.values(), "text/html"]) if known else "text/html"
    names = {media: name for name, media in formats.MEDIA_TYPES.items()} | {"text/html": "json"}
    assert formats.accepted(accept) == (best and names[best])


def test_a_time_has_six_decimals_and_a_z():
    assert encoding.rfc3339(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"
