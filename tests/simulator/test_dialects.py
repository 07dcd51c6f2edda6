import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from itertools import pairwise

import feedparser
import pytest

from tasks.simulator.config import SimulatorConfig
from tasks.simulator.csv_files import write_csv
from tasks.simulator.simulator import Simulator
from tasks.simulator.truth import identities, news_mentions, write_pairs
from tests.simulator.conftest import SMALL

MARKET_FIELDS = [
    "id", "symbol", "name", "image", "current_price", "market_cap", "market_cap_rank",
    "fully_diluted_valuation", "total_volume", "high_24h", "low_24h", "price_change_24h",
    "price_change_percentage_24h", "market_cap_change_24h", "market_cap_change_percentage_24h",
    "circulating_supply", "total_supply", "max_supply", "ath", "ath_change_percentage",
    "ath_date", "atl", "atl_change_percentage", "atl_date", "roi", "last_updated",
]  # fmt: skip
TICKER_FIELDS = [
    "id", "name", "symbol", "rank", "total_supply", "max_supply", "beta_value",
    "first_data_at", "last_updated", "quotes",
]  # fmt: skip
QUOTE_FIELDS = [
    "price", "volume_24h", "volume_24h_change_24h", "market_cap", "market_cap_change_24h",
    "percent_change_15m", "percent_change_30m", "percent_change_1h", "percent_change_6h",
    "percent_change_12h", "percent_change_24h", "percent_change_7d", "percent_change_30d",
    "percent_change_1y", "ath_price", "ath_date", "percent_from_price_ath",
]  # fmt: skip
NULLABLE = {
    "current_price", "market_cap", "market_cap_rank", "fully_diluted_valuation", "high_24h",
    "low_24h", "price_change_24h", "price_change_percentage_24h", "market_cap_change_24h",
    "market_cap_change_percentage_24h", "total_supply", "max_supply", "roi",
}  # fmt: skip


def test_markets_have_the_documented_fields_in_order(markets):
    for page in (1, 2, 3):
        for item in markets(page).json():
            assert list(item) == MARKET_FIELDS


def test_only_fields_that_may_be_null_are(markets):
    items = [item for page in (1, 2, 3) for item in markets(page).json()]
    assert {name for item in items for name, value in item.items() if value is None} <= NULLABLE


def test_pages_hold_every_coin_once_in_the_order_of_rank(markets):
    pages = [markets(page).json() for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [250, 250, 100, 0]
    items = [item for page in pages for item in page]
    assert len({item["id"] for item in items}) == 600
    ranks = [item["market_cap_rank"] for item in items if item["market_cap_rank"]]
    assert ranks == list(range(1, len(ranks) + 1))


def test_a_page_never_holds_more_than_250(markets):
    assert len(markets(per_page=1000).json()) == 250


def test_the_currency_is_required_as_the_vendor_says(get):
    response = get("/api/v3/coins/markets")
    assert response.status_code == 422
    assert response.json() == {"error": "Missing parameter vs_currency"}
    assert get("/api/v3/coins/markets", vs_currency="xyz").status_code == 422


def test_markets_can_be_asked_for_by_id_and_in_another_order(markets):
    found = markets(ids="ethereum,bitcoin").json()
    assert [item["id"] for item in found] == ["bitcoin", "ethereum"]
    ids = [item["id"] for item in markets(order="id_asc").json()]
    assert ids == sorted(ids)


def test_further_windows_come_only_when_asked_for(markets):
    item = markets(price_change_percentage="7d,1h").json()[0]
    assert list(item)[-2:] == [
        "price_change_percentage_1h_in_currency",
        "price_change_percentage_7d_in_currency",
    ]


def test_numbers_are_written_as_the_vendor_does(markets):
    text = "".join(markets(page).text for page in (1, 2, 3))
    items = json.loads(text.replace("][", ","), parse_float=str, parse_int=str)
    prices = [item["current_price"] for item in items if item["current_price"]]
    assert any("." not in price and "e" not in price for price in prices)
    assert any("e-" in price for price in prices)
    assert max(len(item["price_change_24h"] or "") for item in items) >= 17
    assert all(Decimal(price).is_finite() for price in prices)


def test_an_unchanged_page_is_304(markets, get):
    first = markets()
    assert first.headers["ETag"].startswith('W/"')
    assert "max-age=30" in first.headers["Cache-Control"]
    again = get(
        "/api/v3/coins/markets",
        vs_currency="usd",
        per_page=250,
        page=1,
        headers={"If-None-Match": first.headers["ETag"]},
    )
    assert (again.status_code, again.content) == (304, b"")


def test_ping_answers(get):
    assert get("/api/v3/ping").json() == {"gecko_says": "(V3) To the Moon!"}


def test_the_coin_list_knows_platforms(get):
    entries = get("/api/v3/coins/list", include_platform="true").json()
    assert entries[0] == {"id": "bitcoin", "symbol": "btc", "name": "Bitcoin", "platforms": {}}
    assert sum(bool(entry["platforms"]) for entry in entries) > 400
    assert set(get("/api/v3/coins/list").json()[0]) == {"id", "symbol", "name"}


def test_a_chart_agrees_with_the_market(get, markets):
    chart = get("/api/v3/coins/bitcoin/market_chart", vs_currency="usd", days=1).json()
    assert list(chart) == ["prices", "market_caps", "total_volumes"]
    stamps = [stamp for stamp, _ in chart["prices"]]
    assert stamps == sorted(stamps)
    assert len(stamps) in range(287, 291)
    assert round(chart["prices"][-1][1]) == markets().json()[0]["current_price"]


def test_a_chart_of_a_range_has_the_vendors_grid(get):
    now = int(datetime.now(UTC).timestamp())
    span = {"vs_currency": "usd", "from": now - 30 * 86_400, "to": now - 86_400}
    prices = get("/api/v3/coins/bitcoin/market_chart/range", **span).json()["prices"]
    assert {later[0] - sooner[0] for sooner, later in pairwise(prices)} == {3_600_000}
    assert get("/api/v3/coins/bitcoin/market_chart/range", **span).json()["prices"] == prices


def test_a_chart_beyond_a_year_is_refused_on_the_public_plan(get):
    span = {"vs_currency": "usd", "from": 1_500_000_000, "to": 1_500_100_000}
    response = get("/api/v3/coins/bitcoin/market_chart/range", **span)
    assert response.status_code == 401
    assert response.json()["error"]["status"]["error_code"] == 10012


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v3/coins/bitcoin/market_chart", 422),
        ("/api/v3/coins/bitcoin/market_chart/range", 422),
        ("/api/v3/coins/bitcoin/market_chart?days=soon&vs_currency=usd", 422),
        ("/api/v3/coins/bitcoin/market_chart?days=1", 422),
        ("/api/v3/coins/bitcoin/market_chart/range?from=0&to=nan&vs_currency=usd", 422),
        ("/api/v3/coins/no-such-coin/market_chart?days=1&vs_currency=usd", 404),
        ("/api/v3/nowhere", 404),
        ("/v1/tickers/no-such-coin", 404),
        ("/v1/nowhere", 404),
        ("/feeds/nowhere", 404),
        ("/elsewhere", 404),
    ],
)
def test_wrong_calls_are_refused(get, path, status):
    assert get(path).status_code == status


def test_tickers_have_the_documented_fields(get):
    tickers = get("/v1/tickers").json()
    assert len(tickers) == 500
    for ticker in tickers:
        assert list(ticker) == TICKER_FIELDS
        assert list(ticker["quotes"]) == ["USD"]
        assert list(ticker["quotes"]["USD"]) == QUOTE_FIELDS
        assert None not in ticker.values()
        assert None not in ticker["quotes"]["USD"].values()
        assert ticker["quotes"]["USD"]["percent_change_1y"] == 0


def test_tickers_have_unique_ranks_and_are_not_sorted_by_them(get):
    ranks = [ticker["rank"] for ticker in get("/v1/tickers").json()]
    assert ranks[0] == 1
    assert ranks != sorted(ranks)
    assert sorted(ranks) == list(range(1, 501))


def test_the_paid_plan_shows_the_circulating_supply():
    simulator = Simulator(SimulatorConfig(coins=60, coingecko_coins=50, coinpaprika_tickers=50,
                                          coinpaprika_plan="paid"))  # fmt: skip
    first = json.loads(simulator.handle("/v1/tickers", {}, {}).body)[0]
    assert first["circulating_supply"] > 0
    assert first["quotes"]["USD"]["percent_change_1y"] != 0


def test_a_ticker_beyond_the_list_is_served_by_its_id(get, simulator):
    listed = {ticker["id"] for ticker in get("/v1/tickers").json()}
    coins = get("/v1/coins").json()
    beyond = next(coin for coin in coins if coin["id"] not in listed)
    assert (beyond["rank"], beyond["is_active"]) == (0, False)
    assert get(f"/v1/tickers/{beyond['id']}").json()["name"] == beyond["name"]
    assert set(coins[0]) == {"id", "name", "symbol", "rank", "is_new", "is_active", "type"}


@pytest.mark.parametrize("feed", ["wire", "ledger"])
def test_feeds_are_well_formed_and_dated(get, feed):
    parsed = feedparser.parse(get(f"/feeds/{feed}").content)
    assert not parsed.bozo
    assert len(parsed.entries) == 25
    assert all(entry.published_parsed for entry in parsed.entries)


def test_the_json_feed_is_one(get):
    feed = get("/feeds/notes").json()
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert len({item["id"] for item in feed["items"]}) == 25


def test_the_wire_reuses_the_guid_of_its_round_up(get):
    guids = [entry.id for entry in feedparser.parse(get("/feeds/wire").content).entries]
    assert len(set(guids)) < len(guids)


@pytest.mark.parametrize("feed", ["wire", "ledger", "notes"])
def test_an_unchanged_feed_is_304_by_tag_and_by_date(get, feed):
    first = get(f"/feeds/{feed}")
    # Ticks made by hand in quick succession are a second apart, so a few seconds ahead is right.
    modified = parsedate_to_datetime(first.headers["Last-Modified"])
    assert modified < datetime.now(UTC) + timedelta(minutes=2)
    for condition in (
        {"If-None-Match": first.headers["ETag"]},
        {"If-Modified-Since": first.headers["Last-Modified"]},
    ):
        again = get(f"/feeds/{feed}", headers=condition)
        assert (again.status_code, again.content) == (304, b"")
    assert get(f"/feeds/{feed}", headers={"If-Modified-Since": "yesterday"}).status_code == 200
    assert get(f"/feeds/{feed}", headers={"If-None-Match": '"other"'}).status_code == 200


def test_entries_come_and_are_edited_later(get, simulator):
    def titles():
        return {item["id"]: item["title"] for item in get("/feeds/notes").json()["items"]}

    seen, edited = titles(), {}
    for _ in range(10):
        simulator.advance(2)
        now = titles()
        assert set(now) - set(seen)
        edited |= {key: now[key] for key in now if seen.get(key, now[key]) != now[key]}
        seen = {**now, **seen}
    assert edited
    assert all(title == f"{seen[key]} (updated)" for key, title in edited.items())


def test_the_truth_knows_what_an_entry_is_about(simulator):
    mentions = news_mentions(simulator.market, "notes", 0)
    assert any(ids for ids in mentions.values())
    assert all(not ids for title, ids in mentions.items() if title.startswith("One missing link"))


def test_csv_files_hold_as_many_rows_as_asked_for(simulator, tmp_path):
    modern, legacy = write_csv(simulator.market, tmp_path, rows=500)
    assert legacy.read_bytes().startswith(b"\xef\xbb\xbf")
    with modern.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with legacy.open(encoding="utf-8-sig", newline="") as file:
        old_rows = [row for row in csv.reader(file, delimiter=";") if row][1:]
    assert len(rows) + len(old_rows) == 500
    assert rows[0]["coin_id"] == "bitcoin"
    assert abs(datetime.now(UTC) - datetime.fromisoformat(rows[0]["date"])).days == 0
    assert all(len(row) == 7 for row in old_rows)
    assert any("\n" in row["note"] for row in rows)


def test_csv_files_go_back_in_time_when_the_coins_are_used_up(simulator, tmp_path):
    modern, _ = write_csv(simulator.market, tmp_path, rows=2_000)
    with modern.open(encoding="utf-8", newline="") as file:
        dates = [row["date"][:10] for row in csv.DictReader(file) if row["coin_id"] == "bitcoin"]
    assert len(dates) > 2
    assert len(set(dates)) == len(dates)


def test_bad_csv_rows_come_only_when_asked_for(simulator, tmp_path):
    modern, _ = write_csv(simulator.market, tmp_path, rows=50, bad_rows=2)
    assert "not-a-price" in modern.read_text(encoding="utf-8")
    modern, _ = write_csv(simulator.market, tmp_path, rows=50)
    assert "not-a-price" not in modern.read_text(encoding="utf-8")


def test_the_truth_names_every_listed_coin_once(simulator):
    known = identities(simulator.market)
    assert sum(row.coingecko is not None for row in known) == SMALL.coingecko_coins
    assert sum(row.coinpaprika is not None for row in known) == SMALL.coinpaprika_tickers
    assert known[0].coingecko[0] == "bitcoin"
    assert known[0].coinpaprika[0] == "btc-bitcoin"
    assert known[0].csv == ("BTC", "Bitcoin")
    bnb = next(row for row in known if row.coingecko and row.coingecko[0] == "binancecoin")
    assert (bnb.coingecko[2], bnb.coinpaprika[2]) == ("BNB", "Binance Coin")


def test_labelled_pairs_agree_with_the_truth(simulator, tmp_path):
    pairs, left, right = write_pairs(simulator.market, tmp_path)
    same = {
        (row.coingecko[0], row.coinpaprika[0])
        for row in identities(simulator.market)
        if row.coingecko and row.coinpaprika
    }
    with pairs.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labelled = {(r["coingecko_id"], r["coinpaprika_id"]) for r in rows if r["label"] == "same"}
    assert labelled == same
    assert any(row["label"] == "different" for row in rows)
    for path, size in ((left, 600), (right, 500)):
        with path.open(encoding="utf-8", newline="") as file:
            assert len(list(csv.DictReader(file))) == size
