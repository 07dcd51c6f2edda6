"""What an operator says about identity, over HTTP, and what the runs after it make of it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tasks.core.settings import load_settings
from tests.support.api import exact
from tests.support.markets import market
from tests.support.vendors import bitcoin, running_vendors, stamp, ticker

pytestmark = pytest.mark.integration

MOONS = ["moon-2", "moon-3"]


@pytest.fixture
def vendors(settings):
    with running_vendors(settings) as vendors:
        yield vendors


@pytest.fixture
def key(vendors):
    return {"X-API-Key": vendors.api.key("admin")}


@pytest.fixture
def moons(vendors):
    """Two coins of CoinGecko that CoinPaprika's one could be."""
    _say(vendors)
    return vendors


@pytest.fixture(scope="module")
def still(databases, servers, tmp_path_factory):
    """The same moons, for tests that change nothing."""
    with databases.cloned() as url, pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_URL", url)
        environment.setenv("REDIS_URL", servers["REDIS_URL"])
        environment.setenv("CSV_PATH", str(tmp_path_factory.mktemp("still") / "csv"))
        with running_vendors(load_settings()) as vendors:
            _say(vendors)
            yield vendors


@pytest.fixture
def still_key(still):
    return {"X-API-Key": still.api.key("admin")}


def _moon(identifier, price, cap):
    named = {"symbol": "moon", "name": "Moon", "market_cap": cap, "last_updated": stamp()}
    return market(identifier, price, **named)


def _say(vendors, price=1):
    vendors.coingecko(*(_moon(name, price, 1000 - n) for n, name in enumerate(MOONS)))
    vendors.coinpaprika(ticker("moon-moon", price * 1.02, name="Moon", market_cap=990))


def _unresolved(vendors, key, **query):
    return vendors.api.get("/assets/unresolved", query_string=query, headers=key)


def _listed(vendors, key, **query):
    rows = exact(_unresolved(vendors, key, **query))["data"]
    return {row["external_id"]: [c["external_id"] for c in row["candidates"]] for row in rows}


def _link(vendors, key, external_id="moon-moon", source="coinpaprika", **body):
    body = {"source": source, "external_id": external_id} | body
    return vendors.api.post("/assets/links", json=body, headers=key)


def _unlink(vendors, key, item="coinpaprika/moon-moon"):
    return vendors.api.client.delete(f"/assets/links/{item}", headers=key)


def _ids(vendors):
    """The wire id of the asset that each item is."""
    rows = vendors.bench.rows(
        "select external_id, wire_id from asset_links join assets using (asset_id)"
    )
    return {row.external_id: row.wire_id for row in rows}


def test_an_unresolved_item_is_listed_with_its_candidates_and_their_assets(still, still_key):
    body = exact(_unresolved(still, still_key))
    rows = {row["external_id"]: row for row in body["data"]}
    assert set(rows) == {"moon-2", "moon-3", "moon-moon"}
    assert body["pagination"]["total"] == 3
    row = rows["moon-moon"]
    assert (row["source"], row["symbol"], row["name"]) == ("coinpaprika", "MOON", "Moon")
    assert row["id"] == "MOON~moon-moon.coinpaprika"
    first, second = row["candidates"]
    assert [first["external_id"], second["external_id"]] == MOONS
    assert (first["id"], first["price_usd"]) == ("MOON", 1)
    assert first["score"] >= 60
    assert first["agrees"][:2] == ["symbol", "name"]
    assert still.row(ticker="MOON")["asset_id"] == first["asset_id"]


def test_a_decision_joins_prices_history_and_ids_at_once(moons, key):
    before = moons.bench.one("select clock_timestamp() as now").now.isoformat()
    url = f"/data?as_of={before.replace('+', '%2B')}"
    old, tag = exact(moons.api.get(url))["data"], moons.api.get("/data").headers["ETag"]
    answer = _link(moons, key, id="MOON~moon-3", reason="The same team.")
    assert answer.status_code == 201, answer.text
    found = exact(answer)
    assert (found["method"], found["status"], found["confidence"]) == ("operator", "linked", 1)
    assert found["decided_by"].startswith("key:")
    row = moons.row(symbol="moon", source="coinpaprika")
    assert (row["asset_id"], row["coin_id"]) == (found["asset_id"], "moon-moon")
    joined = exact(moons.api.get(f"/data/{found['id']}"))
    assert [o["source"] for o in joined["observations"]] == ["coingecko", "coinpaprika"]
    assert joined["sources_used"] == ["coingecko", "coinpaprika"]
    points = exact(moons.api.get(f"/data/{found['id']}/history"))["data"]
    assert {point["coin_id"] for point in points} == {"moon-3", "moon-moon"}
    assert exact(moons.api.get("/data"))["pagination"]["total"] == 2
    assert moons.api.get("/data").headers["ETag"] != tag
    assert exact(moons.api.get(url))["data"] == old
    (audited,) = moons.bench.rows("select * from audit_log where action = 'asset_link.decided'")
    assert audited.subject == "coinpaprika/moon-moon"
    assert audited.detail["reason"] == "The same team."
    assert (audited.actor, audited.request_id) == (found["decided_by"], found["request_id"])


def test_what_was_decided_is_unresolved_no_more_and_neither_are_its_candidates(moons, key):
    explained = moons.inputs("MOON")
    assert explained["coingecko"]["link"]["status"] == "unresolved"
    _link(moons, key, id="MOON")
    assert _listed(moons, key) == {}
    assert {i["link"]["status"] for i in moons.inputs("MOON").values()} == {"linked"}
    assert moons.inputs("MOON")["coinpaprika"]["link"]["decided_by"].startswith("key:")


def test_a_decision_outlives_runs_full_refreshes_and_better_twins(moons, key):
    _link(moons, key, id="MOON~moon-3")
    decided = _ids(moons)
    _say(moons, price=1.1)
    assert _ids(moons) == decided
    for source in ("coingecko", "coinpaprika"):
        moons.run(source, full_refresh=True)
    assert _ids(moons) == decided
    moons.coingecko(*(_moon(name, 1.2, 1000) for name in [*MOONS, "moon"]))
    assert _ids(moons)["moon-moon"] == _ids(moons)["moon-3"] == decided["moon-3"]
    moons.coinpaprika(ticker("moon-moon", 1.2, name="Luna", symbol="LUNA"))
    links = moons.bench.rows("select external_id, asset_id, method from asset_links")
    of = {row.external_id: row for row in links}
    assert of["moon-moon"].asset_id == of["moon-3"].asset_id
    assert of["moon-moon"].method == "operator"


def test_an_item_that_is_none_of_its_candidates_is_said_to_be_its_own(moons, key):
    answer = exact(_link(moons, key, new_asset=True))
    assert answer["id"] == "MOON~moon-moon.coinpaprika"
    assert "moon-moon" not in _listed(moons, key)
    moons.coingecko(*(_moon(name, 1.2, 1000) for name in [*MOONS, "moon"]))
    assert _ids(moons)["moon-moon"] == "MOON~moon-moon.coinpaprika"


def test_a_wrong_link_is_taken_apart(vendors, key):
    vendors.coingecko(bitcoin(65000))
    vendors.coinpaprika(ticker("btc-bitcoin", 65010, name="Bitcoin"))
    assert vendors.row(ticker="BTC")["price_usd"] == 65005
    found = exact(_link(vendors, key, "btc-bitcoin", new_asset=True))
    assert found["id"] == "BTC~btc-bitcoin.coinpaprika"
    assert vendors.row(ticker="BTC")["price_usd"] == 65000
    assert vendors.row(symbol="btc", source="coinpaprika")["asset_id"] == found["asset_id"]
    vendors.coingecko(bitcoin(65000), market("bitcoin-2", 65001, symbol="btc", name="Bitcoin"))
    vendors.run("coinpaprika", full_refresh=True)
    assert vendors.row(ticker="BTC")["sources"] == ["coingecko"]


def test_a_decision_taken_back_leaves_the_item_to_the_evidence(vendors, key):
    vendors.coingecko(bitcoin(65000), market("luna", 3, symbol="luna", name="Terra"))
    vendors.coinpaprika(ticker("btc-bitcoin", 65010, name="Bitcoin"))
    before = _ids(vendors)
    assert _link(vendors, key, "btc-bitcoin", id="LUNA").status_code == 201
    assert _ids(vendors)["btc-bitcoin"] == "LUNA"
    found = exact(_unlink(vendors, key, "coinpaprika/btc-bitcoin"))
    assert (found["id"], found["method"]) == ("BTC", "symbol_name_slug")
    assert (found["decided_by"], _ids(vendors)) == ("resolver", before)
    assert vendors.row(ticker="BTC")["price_usd"] == 65005
    assert vendors.row(ticker="LUNA")["sources"] == ["coingecko"]
    assert vendors.row(ticker="LUNA")["price_usd"] == 3
    assert exact(vendors.api.get("/data"))["total"] == 2
    actions = vendors.bench.rows("select action from audit_log order by audit_id")
    assert [row.action for row in actions if row.action.startswith("asset_link")] == [
        "asset_link.decided",
        "asset_link.moved",
        "asset_link.released",
        "asset_link.moved",
    ]


def test_one_confirmed_in_its_own_asset_keeps_it_when_that_is_taken_back(moons, key):
    before = _ids(moons), moons.bench.rows("select asset_id, slug_id from assets order by 1")
    _link(moons, key, new_asset=True)
    assert exact(_unlink(moons, key))["status"] == "unresolved"
    after = _ids(moons), moons.bench.rows("select asset_id, slug_id from assets order by 1")
    assert after == before


def test_the_same_decision_again_changes_nothing(moons, key):
    first = exact(_link(moons, key, id="MOON"))
    version = moons.bench.one("select version from data_versions where topic = 'data'")
    again = exact(_link(moons, key, asset_id=first["asset_id"]))
    assert again | {"request_id": ""} == first | {"request_id": ""}
    assert moons.bench.one("select version from data_versions where topic = 'data'") == version


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"source": "kraken", "id": "MOON"}, 422, "coingecko, coinpaprika, csv"),
        ({"source": "rss", "id": "MOON"}, 422, "coingecko, coinpaprika, csv"),
        ({"id": "NOBODY"}, 404, "NOBODY"),
        ({"asset_id": 2**62}, 404, str(2**62)),
        ({"external_id": "never", "id": "MOON"}, 404, "coinpaprika/never was never loaded"),
        ({}, 422, "one of id, asset_id and new_asset"),
        ({"id": "MOON", "asset_id": 1}, 422, "one of id, asset_id and new_asset"),
        ({"new_asset": False}, 422, "Must be one of"),
        ({"asset_id": 2**63}, 422, "less than or equal"),
        ({"id": "MO\x00ON"}, 422, "control characters"),
        ({"id": "MOON", "who": "me"}, 422, "Unknown field"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_by_name(still, still_key, body, status, words):
    before = _ids(still)
    answer = _link(still, still_key, **body)
    assert answer.status_code == status
    assert words in answer.text
    assert answer.mimetype == "application/problem+json"
    assert _ids(still) == before


def test_an_operators_link_is_not_overruled_by_the_next_operator(moons, key):
    _link(moons, key, id="MOON~moon-3")
    for other in ({"id": "MOON~moon-2"}, {"new_asset": True}):
        answer = _link(moons, key, **other)
        assert answer.status_code == 409
        assert "take that back first" in answer.json["detail"]


def test_of_two_operators_at_once_one_decides_and_the_other_is_told(moons, key):
    start = Barrier(2)

    def decide(wire_id):
        client = moons.api.app.test_client()
        body = {"source": "coinpaprika", "external_id": "moon-moon", "id": wire_id}
        start.wait()
        return client.post("/assets/links", json=body, headers=key).status_code

    with ThreadPoolExecutor() as pool:
        statuses = sorted(pool.map(decide, ["MOON~moon-2", "MOON~moon-3"]))
    assert statuses == [201, 409]
    decided = "select count(*) as n from audit_log where action = 'asset_link.decided'"
    assert moons.bench.one(decided).n == 1


@pytest.mark.parametrize(
    ("item", "status"),
    [
        ("coinpaprika/moon-moon", 409),
        ("coinpaprika/never/seen", 404),
        ("kraken/moon", 404),
        ("csv/%00", 404),
    ],
)
def test_only_an_operators_link_can_be_taken_back(still, still_key, item, status):
    answer = _unlink(still, still_key, item)
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"


def test_a_link_whose_id_has_slashes_is_taken_back(moons, key):
    moons.csv(f"S1,Coin 1,3,{stamp()}")
    assert _link(moons, key, "s1/coin 1", "csv", id="MOON").status_code == 201
    assert _unlink(moons, key, "csv/s1/coin%201").json["id"] == "S1"
    assert _link(moons, key, "s1/coin 1", "csv", id="MOON").status_code == 201
    assert _unlink(moons, key, "csv/s1%2Fcoin%201").json["id"] == "S1"


def test_the_list_is_walked_in_every_style_and_each_item_comes_once(still, still_key):
    expected = [row["external_id"] for row in _unresolved(still, still_key).json["data"]]
    for style in ({"limit": 1, "offset": None}, {"page_size": 1, "page": None}):
        name = next(name for name, value in style.items() if value is None)
        first = 0 if name == "offset" else 1
        pages = [_unresolved(still, still_key, **style | {name: first + n}).json for n in range(3)]
        assert [row["external_id"] for page in pages for row in page["data"]] == expected
    walked, query = [], {"limit": 2}
    while True:
        page = _unresolved(still, still_key, **query).json
        walked += [row["external_id"] for row in page["data"]]
        if page["pagination"]["next_cursor"] is None:
            break
        query["cursor"] = page["pagination"]["next_cursor"]
    assert walked == expected
    assert list(_listed(still, still_key, source="coinpaprika")) == ["moon-moon"]
    assert _unresolved(still, still_key, page=1, offset=1).status_code == 422
    assert _unresolved(still, still_key, sources="csv").status_code == 422


@pytest.mark.parametrize("scopes", [(), ("read", "run")])
def test_only_an_admin_sees_and_decides(still, scopes):
    key = {"X-API-Key": still.api.key(*scopes)} if scopes else {}
    expected = 403 if scopes else 401
    assert _unresolved(still, key).status_code == expected
    assert _link(still, key, id="MOON").status_code == expected
    assert _unlink(still, key).status_code == expected
