"""One price from several, the whole way: from what vendors answer to what the API says."""

from decimal import Decimal

import pytest

from tests.support.vendors import bitcoin, running_vendors, stamp, ticker

pytestmark = pytest.mark.integration

USED = "used"


@pytest.fixture
def vendors(settings):
    with running_vendors(settings) as vendors:
        yield vendors


def _paprika(price, **fields):
    return ticker("btc-bitcoin", price, symbol="BTC", name="Bitcoin", **fields)


def _file(price, date=None):
    return f"BTC,Bitcoin,{price},{date or stamp()}"


def _statuses(vendors):
    return {source: found["status"] for source, found in vendors.inputs("BTC").items()}


def test_two_fresh_prices_and_a_file_of_2024_give_the_midpoint_of_the_two(vendors):
    runs = [
        vendors.csv(_file("45000.50", "2024-05-01")),
        vendors.coingecko(bitcoin(65000)),
        vendors.coinpaprika(_paprika(65010)),
    ]
    assert runs == ["success"] * 3
    row = vendors.row(ticker="BTC")
    assert (row["id"], row["price_usd"]) == ("BTC", 65005)
    assert row["sources"] == ["coingecko", "coinpaprika", "csv"]
    assert row["sources_used"] == ["coingecko", "coinpaprika"]
    assert row["confidence"] > Decimal("0.75")
    inputs = vendors.inputs("BTC")
    assert {name: (i["status"], i["weight"]) for name, i in inputs.items()} == {
        "coingecko": (USED, Decimal("0.5")),
        "coinpaprika": (USED, Decimal("0.5")),
        "csv": ("stale", 0),
    }
    assert inputs["csv"]["price_usd"] == Decimal("45000.50")
    assert "older than the 93600 seconds" in inputs["csv"]["rule"]
    # The file is read again, and says nothing new; its rows said once more overwrite nothing.
    assert vendors.csv(_file("45000.50", "2024-05-01"), full_refresh=True) == "success"
    assert vendors.row(ticker="BTC")["price_usd"] == 65005


def test_one_of_three_at_ten_times_the_price_is_out_until_it_is_near_again(vendors):
    vendors.coingecko(bitcoin(100))
    vendors.coinpaprika(_paprika(100))
    vendors.csv(_file(1000))
    assert vendors.row(ticker="BTC")["price_usd"] == 100
    assert _statuses(vendors) == {"coingecko": USED, "coinpaprika": USED, "csv": "outlier"}
    assert "more than 5 %" in vendors.inputs("BTC")["csv"]["rule"]

    vendors.csv(_file(104))  # below the threshold, not below half of it
    assert _statuses(vendors)["csv"] == "outlier"
    assert "half the threshold" in vendors.inputs("BTC")["csv"]["rule"]
    assert vendors.row(ticker="BTC")["sources_used"] == ["coingecko", "coinpaprika"]

    vendors.csv(_file(102))
    assert _statuses(vendors)["csv"] == USED
    assert vendors.row(ticker="BTC")["sources_used"] == ["coingecko", "coinpaprika", "csv"]


def test_two_that_disagree_are_published_with_low_confidence_and_flagged(vendors):
    vendors.coingecko(bitcoin(100))
    agreeing = vendors.row(ticker="BTC")["confidence"]
    vendors.coinpaprika(_paprika(120))
    row = vendors.row(ticker="BTC")
    assert row["price_usd"] == 110
    assert row["sources_used"] == ["coingecko", "coinpaprika"]
    assert row["price_spread_pct"] == Decimal("18.1818")
    assert row["confidence"] < Decimal("0.4") < agreeing
    inputs = vendors.inputs("BTC").values()
    assert {found["status"] for found in inputs} == {USED}
    assert all("disagree by more than 5 %" in found["rule"] for found in inputs)


def test_a_jump_of_a_hundred_times_is_held_until_the_source_says_it_again(vendors):
    vendors.coingecko(bitcoin(100, last_updated=stamp(minutes=10)))
    held = bitcoin(10_100, last_updated=stamp(minutes=5))
    for _ in range(2):  # the same said twice confirms nothing
        vendors.coingecko(held)
        row = vendors.row(ticker="BTC")
        assert (row["price_usd"], row["confidence"]) == (100, Decimal("0.2"))
        assert _statuses(vendors) == {"coingecko": "held"}
    assert "factor of 100" in vendors.inputs("BTC")["coingecko"]["rule"]
    vendors.coingecko(bitcoin(10_200))
    assert vendors.row(ticker="BTC")["price_usd"] == 10_200
    assert _statuses(vendors) == {"coingecko": USED}


def test_a_held_jump_is_confirmed_by_a_second_source(vendors):
    vendors.coingecko(bitcoin(100, last_updated=stamp(minutes=10)))
    vendors.coingecko(bitcoin(10_100))
    assert vendors.row(ticker="BTC")["price_usd"] == 100
    vendors.coinpaprika(_paprika(10_110))
    row = vendors.row(ticker="BTC")
    assert (row["price_usd"], row["sources_used"]) == (10_105, ["coingecko", "coinpaprika"])


def test_three_that_jump_together_are_believed_at_once(vendors):
    vendors.coingecko(bitcoin(100, last_updated=stamp(minutes=10)))
    vendors.coinpaprika(_paprika(100, last_updated=stamp(minutes=10)))
    vendors.csv(_file(100, stamp(minutes=10)))
    vendors.coingecko(bitcoin(20_000))
    vendors.coinpaprika(_paprika(20_000))
    vendors.csv(_file(20_000))
    assert vendors.row(ticker="BTC")["price_usd"] == 20_000
    assert set(_statuses(vendors).values()) == {USED}
