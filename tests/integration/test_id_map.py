"""The operator's map of known ids: what it joins, what it keeps apart, and what it leaves alone."""

import pytest
from sqlalchemy import text

from tasks.domain import id_maps
from tasks.pipeline import identifying
from tasks.store.audit import Actor
from tests.support.cli import kasparro
from tests.support.markets import market
from tests.support.vendors import SOURCES, bitcoin, running_vendors, ticker

pytestmark = pytest.mark.integration

HEADER = "coingecko,coinpaprika\n"
BOTH = HEADER + "lend,aave-aave\n"
ANN = Actor("ann")


@pytest.fixture
def vendors(settings):
    with running_vendors(settings) as vendors:
        yield vendors


def _map(vendors, csv):
    known = id_maps.parse(csv.encode(), SOURCES)
    return identifying.map_ids(vendors.bench.dependencies, known, actor=ANN)


def _gecko(vendors, *others):
    vendors.coingecko(market("lend", 1, symbol="lend", name="EthLend"), *others)


def _paprika(vendors, *others):
    vendors.coinpaprika(ticker("aave-aave", 90, name="Aave"), *others)


def _together(vendors):
    """The items of each asset."""
    rows = vendors.bench.rows(
        "select array_agg(external_id order by source, external_id) ids from asset_links"
        " group by asset_id"
    )
    return {tuple(row.ids) for row in rows}


def _settle(vendors):
    with vendors.bench.dependencies.transaction() as session:
        session.execute(text("update asset_links set settles_at = now() - interval '1 hour'"))


JOINED, APART = {("lend", "aave-aave")}, {("lend",), ("aave-aave",)}


@pytest.mark.parametrize("first", [_gecko, _paprika])
def test_ids_that_are_known_to_be_one_are_joined_whatever_they_say(vendors, first):
    _map(vendors, BOTH)
    first(vendors)
    _gecko(vendors)
    _paprika(vendors)
    assert _together(vendors) == JOINED
    link = vendors.inputs("LEND")["coinpaprika"]["link"]
    assert (link["method"], link["evidence"]["twin"]["external_id"]) == ("known_id", "lend")
    assert vendors.row(ticker="LEND")["sources"] == ["coingecko", "coinpaprika"]


def test_a_map_that_comes_later_joins_what_was_settled_apart_at_once(vendors):
    _gecko(vendors)
    _paprika(vendors)
    _settle(vendors)
    assert _together(vendors) == APART
    done = _map(vendors, BOTH)
    assert (done.ids, done.changed, done.moved, done.refused) == (2, 2, 1, [])
    assert _together(vendors) == JOINED
    row = vendors.row(ticker="LEND")
    assert row["sources"] == ["coingecko", "coinpaprika"]
    assert vendors.row()["id"] == "LEND"
    actions = vendors.bench.rows("select action from audit_log order by audit_id")
    assert [row.action for row in actions] == ["asset_link.moved", "id_map.replaced"]


def test_the_same_map_again_changes_nothing(vendors):
    _gecko(vendors)
    _paprika(vendors)
    _map(vendors, BOTH)
    before = vendors.bench.one("select version from data_versions where topic = 'data'")
    done = _map(vendors, "coinpaprika,coingecko\naave-aave,lend\n")
    assert (done.changed, done.moved) == (0, 0)
    assert vendors.bench.one("select version from data_versions where topic = 'data'") == before


def test_what_is_gone_from_the_map_is_left_to_the_evidence_again(vendors):
    _gecko(vendors)
    _paprika(vendors)
    _map(vendors, BOTH)
    _settle(vendors)
    done = _map(vendors, HEADER)
    assert (done.ids, done.changed, done.moved) == (0, 2, 1)
    assert _together(vendors) == APART
    assert vendors.row(ticker="AAVE")["id"] == "AAVE"


def test_ids_of_different_rows_stay_apart_however_alike_they_are(vendors):
    _map(vendors, HEADER + "moon-2,moon-moon-classic\nelse,moon-moon\n")
    vendors.coingecko(market("moon-2", 1, symbol="moon", name="Moon"))
    vendors.coinpaprika(ticker("moon-moon", 1, name="Moon"))
    assert _together(vendors) == {("moon-2",), ("moon-moon",)}
    statuses = vendors.bench.rows("select distinct status from asset_links")
    assert [row.status for row in statuses] == ["linked"]


def test_ids_of_different_rows_are_not_joined_through_a_third_item(vendors):
    _map(vendors, HEADER + "moon-2,moon-moon-classic\nelse,moon-moon\n")
    vendors.coingecko(market("moon-2", 1, symbol="moon", name="Moon"))
    vendors.csv("MOON,Moon,1,2026-01-01")
    vendors.coinpaprika(ticker("moon-moon", 1, name="Moon"))
    assert not any({"moon-2", "moon-moon"} <= set(ids) for ids in _together(vendors))


def test_a_map_takes_a_wrong_link_apart_even_if_that_is_settled(vendors):
    vendors.coingecko(bitcoin(65000), market("btc-2", 1, symbol="xbt", name="Another"))
    vendors.coinpaprika(ticker("btc-bitcoin", 65010, name="Bitcoin"))
    _settle(vendors)
    named = vendors.row(ticker="BTC")["asset_id"]
    assert _map(vendors, HEADER + "btc-2,btc-bitcoin\n").moved == 1
    assert _together(vendors) == {("bitcoin",), ("btc-2", "btc-bitcoin")}
    assert vendors.row(ticker="BTC")["asset_id"] == named
    assert vendors.row(ticker="XBT")["sources"] == ["coingecko", "coinpaprika"]


def test_what_an_operator_has_linked_goes_before_the_map_and_is_named(vendors):
    _gecko(vendors, bitcoin(65000))
    _paprika(vendors)
    identifying.link(vendors.bench.dependencies, ("coinpaprika", "aave-aave"), "BTC", actor=ANN)
    done = _map(vendors, BOTH)
    assert done.refused == ["coingecko/lend", "coinpaprika/aave-aave"]
    assert _together(vendors) == {("lend",), ("bitcoin", "aave-aave")}
    released = identifying.unlink(
        vendors.bench.dependencies, ("coinpaprika", "aave-aave"), actor=ANN
    )
    assert (released.method, _together(vendors)) == (
        "known_id",
        {("lend", "aave-aave"), ("bitcoin",)},
    )


def test_what_the_map_does_not_speak_of_stays_as_it_was(vendors):
    twins = market("moon-2", 1, symbol="moon", name="Moon"), ticker("moon-moon", 1, name="Moon")
    _gecko(vendors, twins[0])
    _paprika(vendors, twins[1])
    _settle(vendors)
    _gecko(vendors, twins[0], market("moon", 1, symbol="moon", name="Moon"))
    before = vendors.bench.rows("select * from asset_links where external_id like '%moon%'")
    _map(vendors, BOTH)
    assert vendors.bench.rows("select * from asset_links where external_id like '%moon%'") == before


def test_the_command_takes_a_file_and_says_what_it_did(vendors, tmp_path):
    _gecko(vendors)
    _paprika(vendors)
    path = tmp_path / "ids.csv"
    path.write_text("coingecko,kraken\na,b\n")
    refused = kasparro("assets", "map", path)
    assert refused.code == 2
    assert "line 1: the header must name two or more of the sources" in refused.stderr
    path.write_text(BOTH)
    assert kasparro("assets", "map", path).stderr == "2 ids, 2 of them changed; 1 items moved.\n"
    assert kasparro("assets", "map", path, "--json").json() == {
        "ids": 2,
        "changed": 0,
        "moved": 0,
        "refused": [],
    }
    assert _together(vendors) == JOINED


def test_commands_list_link_and_unlink(vendors):
    vendors.coingecko(*(market(f"moon-{n}", 1, symbol="moon", name="Moon") for n in (2, 3)))
    vendors.coinpaprika(ticker("moon-moon", 1, name="Moon"))
    listed = kasparro("assets", "unresolved", "--source", "coinpaprika", "--json").json()
    assert [c["external_id"] for c in listed[0]["candidates"]] == ["moon-2", "moon-3"]
    assert "MOON (coingecko moon-2), MOON~moon-3" in kasparro("assets", "unresolved").stdout
    item = ("coinpaprika", "moon-moon")
    assert kasparro("assets", "link", *item).code == 2
    linked = kasparro("assets", "link", *item, "MOON", "--reason", "Told so.")
    assert linked.stderr == "coinpaprika moon-moon is MOON: operator, linked.\n"
    assert kasparro("assets", "link", *item, "--new").code == 75
    assert kasparro("assets", "unresolved", "--json").json() == []
    assert kasparro("assets", "unlink", *item, "--json").json()["decided_by"] == "resolver"
    assert kasparro("assets", "unlink", *item).code == 75
