"""What becomes of ids that were given, through runs and the API."""

import pytest
from sqlalchemy import text

from tests.support.api import exact
from tests.support.markets import market
from tests.support.vendors import bitcoin, running_vendors, stamp, ticker

pytestmark = pytest.mark.integration


@pytest.fixture
def vendors(settings):
    with running_vendors(settings) as vendors:
        yield vendors


def _asset(vendors, wire_id):
    return exact(vendors.api.get(f"/data/{wire_id}"))["asset_id"]


def _uni(identifier, name, cap, **fields):
    return market(identifier, 1, symbol="uni", name=name, market_cap=cap, **fields)


def test_an_id_leads_to_its_asset_after_a_better_source_has_named_it_anew(vendors):
    vendors.coinpaprika(ticker("btc-bitcoin", 65000, name="Bitcoin"))
    vendors.coinpaprika(
        ticker("btc-bitcoin", 65000, name="Bitcoin"),
        ticker("btc-other", 1, name="Something", market_cap=9000),
    )
    first = "BTC~btc-bitcoin.coinpaprika"
    asset = _asset(vendors, first)
    vendors.coingecko(bitcoin(65000))
    named = exact(vendors.api.get(f"/data/{first}"))
    assert (named["asset_id"], named["id"]) == (asset, "BTC~bitcoin")
    for part in ("history", "explain"):
        assert exact(vendors.api.get(f"/data/{first}/{part}"))["id"] == "BTC~bitcoin"


def test_the_id_of_an_asset_that_was_joined_to_another_leads_there(vendors):
    vendors.coingecko(_uni("uniswap", "Uniswap", 500))
    vendors.coinpaprika(ticker("xyz-else", 1, name="Else"))
    key = {"X-API-Key": vendors.api.key("admin")}
    body = {"source": "coinpaprika", "external_id": "xyz-else", "id": "UNI"}
    assert vendors.api.post("/assets/links", json=body, headers=key).status_code == 201
    gone = exact(vendors.api.get("/data/XYZ~xyz-else.coinpaprika"))
    assert (gone["id"], gone["sources"]) == ("UNI", ["coingecko", "coinpaprika"])
    assert vendors.api.get("/data/XYZ").status_code == 404


def test_a_coin_renamed_and_reticked_upstream_keeps_its_asset_and_its_ids(vendors):
    vendors.coingecko(market("frax-share", 2, symbol="fxs", name="Frax Share"))
    before = _asset(vendors, "FXS")
    renamed = {"symbol": "frax", "name": "Frax (prev. FXS)", "last_updated": stamp()}
    vendors.coingecko(market("frax-share", 2.5, **renamed))
    row = vendors.row(ticker="FRAX")
    assert (row["asset_id"], row["name"]) == (before, "Frax (prev. FXS)")
    assert _asset(vendors, "FXS~frax-share") == before
    points = exact(vendors.api.get("/data/FRAX/history"))["data"]
    assert [point["price_usd"] for point in points] == [2, 2.5]
    # A newcomer under the old ticker is another asset, under another id.
    old, new = (
        market("frax-share", 2.5, **renamed),
        market("new-fxs", 7, symbol="fxs", name="Forex Stocks"),
    )
    vendors.coingecko(old, new)
    assert vendors.row(ticker="FXS")["asset_id"] != before
    assert _asset(vendors, "FXS~frax-share") == before


def test_a_ticker_changes_hands_once_and_not_with_every_run(vendors):
    vendors.coingecko(_uni("uniswap", "Uniswap", 500), _uni("unicorn", "Unicorn", 400))
    assert vendors.row(ticker="UNI")["coin_id"] == "uniswap"
    with vendors.bench.dependencies.transaction() as session:
        session.execute(text("update assets set owner_since = now() - interval '8 days'"))
    for minutes, (uniswap, unicorn) in enumerate([(400, 500), (500, 400), (300, 590)]):
        at = {"last_updated": stamp(minutes=9 - minutes)}
        vendors.coingecko(
            _uni("uniswap", "Uniswap", uniswap, **at), _uni("unicorn", "Unicorn", unicorn, **at)
        )
        assert vendors.row(ticker="UNI")["coin_id"] == "uniswap"
    now = {"last_updated": stamp()}
    vendors.coingecko(
        _uni("uniswap", "Uniswap", 300, **now), _uni("unicorn", "Unicorn", 601, **now)
    )
    assert vendors.row(ticker="UNI")["coin_id"] == "unicorn"
    rows = exact(vendors.api.get("/data?symbol=UNI"))["data"]
    assert [row["id"] for row in rows] == ["UNI", "UNI~uniswap"]
