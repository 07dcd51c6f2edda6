import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.domain import drift, shapes
from tasks.domain.renames import Match
from tasks.domain.shapes import Field, Shape
from tasks.sources import declared
from tests.support.markets import DOCUMENTED, market, renamed

MARKETS = declared.shape("coingecko", "coins_markets")
TICKERS = declared.shape("coinpaprika", "tickers")
FIGURES = {"price": 1.5, "volume_24h": 1, "volume_24h_change_24h": 0, "market_cap": 5}
CHANGES = {f"percent_change_{span}": 0 for span in ("1h", "12h", "24h", "7d", "30d", "1y")}
PEAK = {"ath_price": 0, "ath_date": "", "percent_from_price_ath": 0}


def examine(items, accepted=MARKETS):
    return drift.examine([msgspec.json.encode(item) for item in items], accepted)


def ticker(**fields):
    whole = {"market_cap_change_24h": 0, **FIGURES, **CHANGES, **PEAK}
    return {
        "id": "btc-bitcoin",
        "name": "Bitcoin",
        "symbol": "BTC",
        "rank": 1,
        "total_supply": 0,
        "max_supply": 0,
        "beta_value": 1.5,
        "last_updated": "2026-01-01T00:00:00Z",
        "quotes": {"USD": whole},
    } | fields


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {
            "price_change_percentage_1h_in_currency": 1.5,
            "price_change_percentage_7d_in_currency": None,
        },
        {"sparkline_in_7d": {"price": [1.5]}, "roi": {"times": 1, "currency": "btc"}},
    ],
)
def test_what_the_first_vendor_documents_is_no_drift(extra):
    assert examine([market(f"coin-{n}", **extra) for n in range(50)]) is None


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"circulating_supply": 5, "first_data_at": "2010-07-17T00:00:00Z"},
        {"quotes": {"BTC": {}}},
    ],
)
def test_what_the_second_vendor_documents_is_no_drift(extra):
    assert examine([ticker(**extra)] * 50, TICKERS) is None


def test_a_renamed_field_is_matched_and_nothing_is_missing():
    found = examine([renamed(market(f"c{n}"), "current_price", "currentPrice") for n in range(50)])
    assert found.matches == (Match("current_price", "currentPrice", 100.0),)
    assert (found.missing, found.extra, found.confidence) == ((), (), 1.0)
    assert found.overlay.renamed == {"currentPrice": "current_price"}


def test_a_field_that_some_items_have_under_another_name_is_matched():
    old, new = market("old"), renamed(market("new"), "total_volume", "total_volume_usd")
    assert [match.found for match in examine([old] * 9 + [new]).matches] == ["total_volume_usd"]


def test_a_renamed_object_is_looked_into():
    figures = renamed({**ticker()["quotes"]["USD"]}, "price", "prices")
    found = examine([ticker(quotes={"usd": figures})] * 5, TICKERS)
    assert [match[:2] for match in found.matches] == [
        ("quotes.USD", "quotes.usd"),
        ("quotes.USD.price", "quotes.USD.prices"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("price_change_percentage_24h", "price_change_percentage_7d", 1.5),  # another figure
        ("current_price", "current_prices", "text"),  # another type
        ("current_price", "latest", 1.5),  # not alike
    ],
)
def test_a_field_is_not_taken_for_another_one(old, new, value):
    item = renamed(market("coin"), old, new) | {new: value}
    found = examine([item] * 5)
    assert (found.missing, found.extra, found.matches) == ((old,), (new,), ())
    assert found.confidence == pytest.approx(25 / 26, abs=1e-4)


def test_two_names_as_good_for_one_field_are_neither():
    item = renamed(market("coin"), "current_price", "current_price_usd") | {"current_price_eur": 2}
    found = examine([item])
    assert found.matches == ()
    assert set(found.extra) == {"current_price_usd", "current_price_eur"}


def test_fields_that_occur_together_are_two():
    found = examine([market("coin", currentPrice=2), renamed(market("b"), "current_price", "x")])
    assert found.matches == ()


def test_another_type_is_named():
    found = examine([market("coin", price="1.5")])
    assert found.type_changes == {"current_price": {"accepted": ["number"], "found": ["string"]}}


def test_a_field_that_is_suddenly_null_is_named():
    items = [market(f"c{n}", None) for n in range(15)] + [market(f"d{n}") for n in range(10)]
    found = examine(items)
    assert found.null_rate_changes == {"current_price": {"accepted": 0.0, "found": 0.6}}
    assert not found.is_structural


def test_a_field_that_most_items_lack_is_named():
    item = market("coin")
    del item["image"]
    found = examine([item] * 20 + [market("b")])
    assert list(found.null_rate_changes) == ["image"]
    assert found.missing == ()


def test_half_of_the_fields_missing_and_three_in_ten_extra_are_warned_of():
    kept = dict(list(market("coin").items())[:13])
    found = examine([kept | {f"zz{letter}": letter for letter in "abcdefgh"}])
    assert len(found.missing) == 13
    assert [warning.split(" where")[0] for warning in found.warnings] == [
        "13 fields are missing",
        "8 fields are extra",
    ]
    assert found.confidence == 0.5


def test_less_is_not_warned_of():
    kept = dict(list(market("coin").items())[:14])
    assert examine([kept | {f"zz{letter}": letter for letter in "abcdefg"}]).warnings == ()


def test_a_page_without_items_says_nothing():
    assert examine([]) is None


def test_the_same_drift_has_the_same_fingerprint_however_many_items_show_it():
    one = examine([market("coin", price="1.5", odd=1)])
    many = examine([market(f"c{n}", price="1.5", odd=1) for n in range(30)])
    other = examine([market("coin", price="1.5")])
    assert one.fingerprint == many.fingerprint != other.fingerprint
    assert other.elements < one.elements


def test_a_column_that_only_broken_rows_have_is_no_drift():
    header = Shape(
        fields={"symbol": Field(("string",)), "price": Field(("string",))}, is_table=True
    )
    rows = [{"symbol": "A", "price": "1"}] * 3 + [{"symbol": "B", "surplus cell 3": "x"}]
    assert examine(rows, header) is None


def test_another_header_of_a_table_is_drift_and_accepting_it_ends_it():
    header = Shape(
        fields={"symbol": Field(("string",)), "price": Field(("string",))}, is_table=True
    )
    rows = [{"symbol": "A", "price_usd": "1", "note": ""}] * 3
    found = examine(rows, header)
    assert [match[:2] for match in found.matches] == [("price", "price_usd")]
    assert found.extra == ("note",)
    assert examine(rows, shapes.merge(header, found.overlay)) is None


_VALUES = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just({}) | st.just([])
)
_ITEMS = st.lists(
    st.dictionaries(st.sampled_from([*DOCUMENTED, "currentPrice", "totalVolume", "odd"]), _VALUES),
    max_size=30,
)


@given(_ITEMS)
def test_what_is_accepted_is_not_found_again(items):
    found = examine(items)
    if found is None:
        return
    accepted = shapes.merge(MARKETS, found.overlay)
    for item in items:
        for name, field in accepted.renamed.items():
            shapes.rename(item, name, field)
    assert examine(items, accepted) is None
