"""The market table through HTTP."""

import csv
import io
import json
import sys
from datetime import timedelta
from decimal import Decimal

import pytest

from service.schemas.market import MarketPage, MarketRow
from tests.support.api import NOW, add_asset, add_assets, add_news, add_quote, exact


def test_a_price_keeps_every_stored_digit(api):
    with api.transaction() as session:
        add_asset(
            session,
            price_usd=Decimal("1.2e-10"),
            market_cap_usd=Decimal("0.0"),
            percent_change_24h=Decimal("123456789012345678901234567890.123456789"),
        )
    response = api.get("/data?ticker=BTC")
    row = exact(response)["data"][0]
    assert str(row["market_cap_usd"]) == "0.0"
    assert row["price_usd"] == Decimal("1.2e-10")
    assert row["percent_change_24h"] == Decimal("123456789012345678901234567890.123456789")
    assert row["volume_24h_usd"] is None
    assert b'"price_usd":0.00000000012,' in response.data


def test_members_come_in_the_order_of_the_contract(api):
    with api.transaction() as session:
        add_asset(session)
    body = json.loads(api.get("/data").data)
    assert list(body) == list(MarketPage().fields)
    assert list(body["data"][0]) == list(MarketRow().fields)


def test_the_body_is_compact_and_names_the_request(api):
    with api.transaction() as session:
        add_asset(session, name="Bítcoin ✓")
    response = api.get("/data", headers={"X-Request-ID": "abc-123"})
    body = response.json
    assert b'": ' not in response.data
    assert "Bítcoin ✓" in response.data.decode()
    assert body["request_id"] == body["meta"]["request_id"] == "abc-123"
    assert body["api_latency_ms"] > 0
    assert body["data"][0]["updated_at"] == "2026-01-01T00:00:00.000000Z"


def test_a_ticker_is_exactly_the_asset_that_owns_it(api):
    with api.transaction() as session:
        add_asset(session, "BTC", name="Bitcoin", rank=1)
        add_asset(session, "BTC", owner=False, name="Batcat", rank=900)
    body = api.get("/data?ticker=btc").json
    assert body["pagination"]["total"] == 1
    assert [row["id"] for row in body["data"]] == ["BTC"]


def test_a_symbol_gives_every_asset_with_the_owner_first(api):
    with api.transaction() as session:
        add_asset(session, "UNI", owner=False, name="Unicorn", rank=3)
        add_asset(session, "UNI", name="Uniswap", rank=20)
        add_asset(session, "UNI", owner=False, name="Unit")
        add_asset(session, "BTC", rank=1)
    rows = api.get("/data?symbol=uni").json["data"]
    assert [row["id"] for row in rows] == ["UNI", "UNI~unicorn", "UNI~unit"]


def test_a_source_gives_its_own_latest_observation(api):
    with api.transaction() as session:
        bitcoin = add_asset(session, price_usd=Decimal(100))
        add_quote(session, bitcoin, "csv", price_usd=Decimal(1), external_id="old")
        newer = {"observed_at": NOW + timedelta(hours=1), "use": "stale"}
        add_quote(session, bitcoin, "csv", price_usd=Decimal(2), external_id="new", **newer)
        add_quote(session, bitcoin, "coingecko", price_usd=Decimal(3))
    body = exact(api.get("/data?source=csv"))
    (row,) = body["data"]
    assert (row["id"], row["coin_id"], row["price_usd"]) == ("BTC", "new", 2)
    assert (row["source"], row["sources"], row["sources_used"]) == ("csv", ["csv"], [])
    assert body["total"] == 1


@pytest.mark.parametrize("name", ["rss", "rss_feed"])
def test_news_come_in_the_same_envelope_when_asked_for_and_never_else(api, name):
    with api.transaction() as session:
        add_asset(session)
        add_news(session, "Up")
    body = api.get(f"/data?source={name}").json
    (row,) = body["data"]
    assert (row["name"], row["source"], row["price_usd"]) == ("Up", "rss", None)
    assert set(row) >= set(MarketRow().fields)
    assert [row["id"] for row in api.get("/data").json["data"]] == ["BTC"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("min_price=1&max_price=1.2", ["T7", "T8"]),
        ("start_date=2026-01-01T00:00:09Z", ["T9", "T10"]),
        ("end_date=2026-01-01T02:00:02%2B02:00", ["T1", "T2"]),
        ("end_date=2025-12-31", []),
        ("start_date=2026-01-01&end_date=2026-01-01&limit=1", ["T1"]),
        ("name=oken%201", ["T1", "T10"]),
        ("name=%25", []),
        ("sort=-rank&limit=2", ["T10", "T9"]),
        ("sort=-price_usd&limit=1", ["T10"]),
        ("sort=ticker&limit=3", ["T1", "T10", "T2"]),
        ("page=2&page_size=4", ["T5", "T6", "T7", "T8"]),
        ("page=3&per_page=4", ["T9", "T10"]),
        ("limit=2&offset=3", ["T4", "T5"]),
        ("page=1000&page_size=100", []),
    ],
)
def test_filters_sorts_and_pages(api, query, expected):
    with api.transaction() as session:
        add_assets(session, 10)
    assert [row["id"] for row in api.get(f"/data?{query}").json["data"]] == expected


def test_fields_choose_members(api):
    with api.transaction() as session:
        add_asset(session, rank=1)
    assert api.get("/data?fields=rank,id").json["data"] == [{"id": "BTC", "rank": 1}]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=x", "page"),
        ("page_size=1000", "page_size"),
        ("page_size=0", "page_size"),
        ("limit=201", "limit"),
        ("limit=0", "limit"),
        ("offset=-1", "offset"),
        ("offset=99999999999999999999", "offset"),
        ("page=1&limit=10", "limit"),
        ("page=1&offset=10", "offset"),
        ("page_size=10&limit=10", "limit"),
        ("page_size=10&per_page=10", "per_page"),
        ("cursor=x&page=1", "cursor"),
        ("cursor=x&offset=1", "cursor"),
        ("cursor=garbage", "cursor"),
        ("cursor=%00", "cursor"),
        ("count=many", "count"),
        ("sort=secret", "sort"),
        ("sort=--rank", "sort"),
        ("fields=id,secret", "fields"),
        ("fields=,", "fields"),
        ("format=xml", "format"),
        ("min_price=NaN", "min_price"),
        ("min_price=Infinity", "min_price"),
        ("min_price=1e999999", "min_price"),
        ("min_price=2&max_price=1", "min_price"),
        ("start_date=yesterday", "start_date"),
        ("start_date=0001-01-01T00:00:00%2B14:00", "start_date"),
        ("start_date=2026-02-01&end_date=2026-01-01", "start_date"),
        ("ticker=", "ticker"),
        ("ticker=%00", "ticker"),
        ("source=nowhere", "source"),
        ("unknown=1", "unknown"),
        ("limit=1&limit=2", "limit"),
    ],
)
def test_what_is_not_valid_is_refused_with_the_field_named(still_api, query, field):
    response = still_api.get(f"/data?{query}")
    assert response.status_code == 422
    assert response.mimetype == "application/problem+json"
    assert field in response.json["errors"]
    assert all(isinstance(text, str) for text in response.json["errors"][field])


def test_a_list_counts_exactly_or_by_estimate_or_not_at_all(api):
    with api.transaction() as session:
        add_assets(session, 30)
    assert api.get("/data?limit=3").json["pagination"]["total_pages"] == 10
    assert api.get("/data?count=exact&max_price=1").json["total"] == 7
    assert api.get("/data?count=estimated").json["total"] >= 0
    uncounted = api.get("/data?count=none").json
    assert uncounted["total"] is uncounted["pagination"]["total_pages"] is None


def test_csv_is_the_whole_list_and_no_cell_is_a_formula(api):
    with api.transaction() as session:
        add_assets(session, 300)
        add_asset(session, "EVIL", name='=HYPERLINK("x")', percent_change_24h=Decimal("-1.5"))
    response = api.get("/data?format=csv&sort=-ticker")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    evil = next(row for row in rows if row["ticker"] == "EVIL")
    assert response.mimetype == "text/csv"
    assert len(rows) == 301
    assert evil["name"] == '\'=HYPERLINK("x")'
    assert evil["percent_change_24h"] == "-1.5"


def test_ndjson_is_one_object_for_each_row_with_its_digits(api):
    with api.transaction() as session:
        add_asset(session, price_usd=Decimal("1.2e-10"))
        add_asset(session, "ETH")
    response = api.get("/data?limit=1", headers={"Accept": "application/x-ndjson"})
    (row,) = [json.loads(line, parse_float=Decimal) for line in response.text.splitlines()]
    assert row["price_usd"] == Decimal("1.2e-10")


def test_an_export_knows_no_upper_limit_but_refuses_a_cursor(api):
    with api.transaction() as session:
        add_assets(session, 400)
    assert api.get("/data?format=ndjson&limit=390").text.count("\n") == 390
    assert api.get("/data?format=ndjson&cursor=abc").status_code == 422
    by_header = api.get("/data?limit=390", headers={"Accept": "application/x-ndjson"})
    assert by_header.text.count("\n") == 390
    assert api.get("/data?limit=390", headers={"Accept": "application/json"}).status_code == 422


def test_without_pyarrow_parquet_is_not_acceptable_and_says_what_to_install(still_api, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    response = still_api.get("/data?format=parquet")
    assert response.status_code == 406
    assert "pip install 'kasparro[parquet]'" in response.json["detail"]


@pytest.mark.parametrize("name", ["rss", "rss_feed", "RSS", " Rss_Feed "])
def test_a_source_is_known_in_any_case_and_by_its_older_name(still_api, name):
    for path in ("/data", "/runs", "/news", "/stats", "/drift", "/anomalies", "/quarantine"):
        assert still_api.get(path, query_string={"source": name}).status_code == 200


def test_a_format_nobody_has_is_not_acceptable(still_api):
    response = still_api.get("/data", headers={"Accept": "image/png"})
    assert response.status_code == 406
    assert "text/csv" in response.json["detail"]


def test_one_asset_shows_what_each_source_observes(api):
    with api.transaction() as session:
        bitcoin = add_asset(session, price_usd=Decimal("1.10"))
        add_quote(session, bitcoin, "coingecko", price_usd=Decimal("1.1"))
        add_quote(session, bitcoin, "csv", price_usd=Decimal("7e-12"), use="outlier")
    body = exact(api.get("/data/BTC"))
    assert str(body["price_usd"]) == "1.10"
    assert {o["source"]: o["price_usd"] for o in body["observations"]} == {
        "coingecko": Decimal("1.1"),
        "csv": Decimal("7e-12"),
    }
    explained = api.get("/data/BTC/explain").json
    assert "csv is outlier" in explained["summary"]
    assert [entry["use"] for entry in explained["inputs"]] == ["used", "outlier"]


def test_an_asset_is_found_by_its_lasting_id_too(api):
    with api.transaction() as session:
        add_asset(session, "UNI", name="Uniswap")
    assert api.get("/data/UNI~uniswap").json["id"] == "UNI"
    assert api.get("/data/uni").json["id"] == "UNI"


@pytest.mark.parametrize("path", ["/data/NOPE", "/data/%00", "/data/NOPE/history", "/data/a%2Fb"])
def test_an_asset_that_is_not_there_is_a_404(still_api, path):
    assert still_api.get(path).status_code == 404
