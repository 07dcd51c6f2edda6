"""An asset's history and the reasons of its price, through the pipeline and the API."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from service.queries import history
from tasks.store import assets, versions
from tests.support.api import exact
from tests.support.engine import ScriptedConnector, coin, workbench

pytestmark = pytest.mark.integration

START = datetime(2026, 1, 1, tzinfo=UTC)


def _stamp(**after):
    return (START + timedelta(**after)).isoformat().replace("+00:00", "Z")


def _bitcoin(price, identifier="bitcoin", **after):
    return coin(identifier, price, symbol="BTC", name="Bitcoin", rank=1, at=_stamp(**after))


@pytest.fixture
def source():
    return ScriptedConnector()


@pytest.fixture
def other():
    return ScriptedConnector(name="coinpaprika")


@pytest.fixture
def bench(settings, source, other):
    with workbench(settings, source, other) as bench:
        yield bench


def _observe(bench, source, *prices):
    for price, minutes in prices:
        source.pages = [[_bitcoin(price, minutes=minutes)]]
        bench.run()


def test_points_come_oldest_first_with_every_digit(bench, source, api):
    _observe(bench, source, ("1.10", 0), ("1.000000000000000001", 5), ("1.2e-10", 10))
    body = exact(api.get("/data/BTC/history"))
    assert [point["price_usd"] for point in body["data"]] == [
        Decimal("1.10"),
        Decimal("1.000000000000000001"),
        Decimal("1.2e-10"),
    ]
    assert [point["observed_at"] for point in body["data"]] == [
        "2026-01-01T00:00:00.000000Z",
        "2026-01-01T00:05:00.000000Z",
        "2026-01-01T00:10:00.000000Z",
    ]
    assert {point["backfilled"] for point in body["data"]} == {False}


def test_intervals_have_open_high_low_close_and_list_their_gaps(bench, source, api):
    _observe(bench, source, ("10", 1), ("12", 2), ("9", 3), ("11", 4), ("20", 16))
    body = exact(api.get("/data/BTC/history?interval=5m"))
    first, second = body["data"]
    assert [first[name] for name in ("open", "high", "low", "close", "points")] == [
        10,
        12,
        9,
        11,
        4,
    ]
    assert first["start"] == "2026-01-01T00:00:00.000000Z"
    assert [second[name] for name in ("open", "high", "low", "close", "points")] == [20] * 4 + [1]
    assert body["gaps"] == [
        {"start": "2026-01-01T00:05:00.000000Z", "end": "2026-01-01T00:15:00.000000Z"}
    ]


@pytest.mark.parametrize(("interval", "number"), [("5m", 3), ("1h", 2), ("1d", 1)])
def test_every_interval_is_aligned_to_utc(bench, source, api, interval, number):
    _observe(bench, source, ("10", 0), ("12", 7), ("14", 61))
    assert len(exact(api.get(f"/data/BTC/history?interval={interval}"))["data"]) == number


def test_a_span_that_is_asked_for_and_empty_is_a_gap(bench, source, api):
    _observe(bench, source, ("10", 30))
    query = f"start={_stamp()}&end={_stamp(hours=2)}"
    (before, after) = exact(api.get(f"/data/BTC/history?interval=5m&{query}"))["gaps"]
    assert (before["start"], before["end"]) == (
        "2026-01-01T00:00:00.000000Z",
        "2026-01-01T00:30:00.000000Z",
    )
    assert (after["start"], after["end"]) == (
        "2026-01-01T00:35:00.000000Z",
        "2026-01-01T02:00:00.000000Z",
    )
    nothing = f"start={_stamp(days=1)}&end={_stamp(days=2)}"
    body = exact(api.get(f"/data/BTC/history?interval=1h&{nothing}"))
    assert (body["data"], len(body["gaps"])) == ([], 1)


def test_a_gap_between_two_pages_is_not_lost(bench, source, api):
    _observe(bench, source, ("1", 0), ("2", 5), ("3", 60 * 24 * 3))
    first = exact(api.get("/data/BTC/history?limit=2"))
    cursor = first["pagination"]["next_cursor"]
    second = exact(api.get(f"/data/BTC/history?limit=2&cursor={cursor}"))
    assert first["gaps"] == []
    assert second["gaps"] == [
        {"start": "2026-01-01T00:05:00.000000Z", "end": "2026-01-04T00:00:00.000000Z"}
    ]


def test_history_can_be_of_one_source(bench, source, other, api):
    _observe(bench, source, ("10", 0))
    other.pages = [[_bitcoin("11", "btc-bitcoin", minutes=1)]]
    bench.run("coinpaprika")
    both = exact(api.get("/data/BTC/history"))["data"]
    assert [point["source"] for point in both] == ["coingecko", "coinpaprika"]
    (one,) = exact(api.get("/data/BTC/history?source=coinpaprika"))["data"]
    assert (one["coin_id"], one["price_usd"]) == ("btc-bitcoin", 11)


def test_intervals_are_made_of_the_newest_points_and_never_of_a_part(
    bench, source, api, monkeypatch
):
    monkeypatch.setattr(history, "MOST_POINTS", 3)
    _observe(bench, source, ("10", 0), ("11", 1), ("12", 2), ("13", 6), ("14", 7))
    (only,) = exact(api.get("/data/BTC/history?interval=5m"))["data"]
    assert (only["open"], only["points"]) == (13, 2)


def test_history_follows_an_item_to_another_asset(bench, source, other, api):
    source.pages = [[_bitcoin("10")]]
    bench.run()
    other.pages = [[coin("btc-else", "10", symbol="XBT", name="Else", at=_stamp())]]
    bench.run("coinpaprika")
    before = exact(api.get("/data/BTC/history"))["data"]
    assert len(before) == 1
    with bench.dependencies.transaction() as session:
        found = session.execute(
            text("select source, asset_id from asset_links order by source")
        ).all()
        (_, bitcoin), (_, other_id) = found
        assets.move(
            session,
            [assets.Move(item=("coinpaprika", "btc-else"), from_asset=other_id, to_asset=bitcoin)],
            actor="test",
        )
        versions.bump(session, "data")
    after = exact(api.get("/data/BTC/history"))["data"]
    assert [point["coin_id"] for point in after] == ["bitcoin", "btc-else"]


def test_an_explanation_names_every_input_its_rule_and_its_link(bench, source, other, api):
    source.pages = [[_bitcoin("100")]]
    bench.run()
    other.pages = [[_bitcoin("101", "btc-bitcoin")]]
    bench.run("coinpaprika")
    body = exact(api.get("/data/BTC/explain"))
    assert body["price_usd"] == Decimal("100.5")
    for item in body["inputs"]:
        assert (item["status"], item["weight"]) == ("used", Decimal("0.5"))
        assert item["rule"]
        assert item["age_seconds"] > 0
        assert item["link"]["method"]
        assert item["link"]["confidence"] > 0
    source.fresh_for_s = 1
    other.pages = [[_bitcoin("102", "btc-bitcoin", minutes=1)]]
    bench.run("coinpaprika")
    inputs = {i["source"]: i for i in exact(api.get("/data/BTC/explain"))["inputs"]}
    assert (inputs["coingecko"]["status"], inputs["coingecko"]["weight"]) == ("stale", 0)
    assert "older than the 1 seconds" in inputs["coingecko"]["rule"]
    assert inputs["coinpaprika"]["weight"] == 1
