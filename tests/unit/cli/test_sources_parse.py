import json

import pytest

from tests.support.cli import kasparro

COIN = {
    "id": "bitcoin",
    "symbol": "btc",
    "name": "Bitcoin",
    "market_cap_rank": 1,
    "market_cap": 1309054549713,
    "total_volume": 2,
    "price_change_percentage_24h": -1.5,
    "last_updated": "2026-01-01T00:00:00.000Z",
}


def _write(path, items: str) -> str:
    path.write_text(items)
    return str(path)


@pytest.fixture
def markets(tmp_path) -> str:
    """Two coins, one with a price that no float can hold, and one item that is no coin."""
    good = json.dumps(COIN)[:-1] + ', "current_price": 1.23456789012345678901234567890e-10}'
    return _write(tmp_path / "markets.json", f'[{good}, {{"id": "x", "symbol": "x"}}]')


def test_records_and_rejections_are_counted_and_listed(markets):
    answer = kasparro("sources", "parse", "coingecko", markets, "--json")
    shown = answer.json()
    assert answer.code == 0
    assert (shown["record_count"], shown["rejection_count"]) == (1, 1)
    assert sum(shown["rejections_by_reason"].values()) == 1
    assert shown["records"][0]["external_id"] == "bitcoin"
    assert shown["rejections"][0]["item"] == 1
    assert shown["rejections"][0]["reason"]


def test_prices_keep_every_digit(markets):
    answer = kasparro("sources", "parse", "coingecko", markets, "--json")
    assert "1.23456789012345678901234567890E-10" in answer.stdout


def test_people_get_tables(markets):
    answer = kasparro("sources", "parse", "coingecko", markets)
    assert answer.code == 0
    assert "1 records, 1 rejections." in answer.stderr
    assert "Bitcoin" in answer.stdout


def test_a_page_that_cannot_be_read_is_told_without_a_traceback(tmp_path):
    page = _write(tmp_path / "error.html", "<html>Throttled</html>")
    answer = kasparro("sources", "parse", "coingecko", page, "--json")
    assert answer.code == 65
    assert answer.json()["error"]
    assert "Traceback" not in answer.stderr


def test_csv_files_are_parsed_too(tmp_path):
    file = _write(tmp_path / "prices.csv", "symbol,name,price\nBTC,Bitcoin,$65,000.5\nETH,,x\n")
    shown = kasparro("sources", "parse", "csv", file, "--json").json()
    assert shown["record_count"] + shown["rejection_count"] == 2


def test_feeds_are_parsed_too_under_both_names(tmp_path):
    item = "<item><title>T</title></item>"
    feed = f"<rss version='2.0'><channel><title>F</title>{item}</channel></rss>"
    file = _write(tmp_path / "feed.xml", feed)
    for name in ("rss", "rss_feed"):
        assert kasparro("sources", "parse", name, file, "--json").json()["source"] == "rss"


def test_an_unknown_source_is_a_wrong_call(markets):
    answer = kasparro("sources", "parse", "nowhere", markets)
    assert answer.code == 2
    assert "coingecko" in answer.stderr
