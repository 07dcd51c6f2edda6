"""News through the pipeline: stored, linked to assets, linked again when that changes."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.pipeline import mentioning
from tests.support.api import exact
from tests.support.engine import ScriptedConnector, ScriptedFeed, coin, entry, workbench

pytestmark = pytest.mark.integration

LINKS = """
    select n.title, a.wire_id, l.score, l.mention
    from news_assets l join news n using (news_id) join assets a using (asset_id)
    order by n.news_id, l.score desc, a.wire_id
"""
COINS = [
    coin("bitcoin", "65000", symbol="BTC", name="Bitcoin", rank=1),
    coin("solana", "150", symbol="SOL", name="Solana", rank=6),
    coin("harmony", "0.01", symbol="ONE", name="Harmony", rank=130),
]


@pytest.fixture
def feed():
    return ScriptedFeed(entries=[entry("a", "Bitcoin and $SOL rise"), entry("b", "One more day")])


@pytest.fixture
def bench(settings, feed):
    with workbench(settings, ScriptedConnector(pages=[COINS]), feed) as bench:
        yield bench


def _links(bench):
    return [(row.title, row.wire_id) for row in bench.rows(LINKS)]


def test_an_entry_is_linked_by_the_load_that_brings_it(bench):
    bench.run()
    bench.run("rss")
    assert _links(bench) == [("Bitcoin and $SOL rise", "SOL"), ("Bitcoin and $SOL rise", "BTC")]


def test_an_edited_entry_is_updated_and_linked_anew(bench, feed):
    bench.run()
    bench.run("rss")
    feed.entries = [entry("a", "Harmony (ONE) rises"), entry("b", "One more day")]
    bench.run("rss")
    titles = bench.rows("select title from news order by external_id")
    assert [row.title for row in titles] == ["Harmony (ONE) rises", "One more day"]
    assert _links(bench) == [("Harmony (ONE) rises", "ONE")]


def test_news_that_came_before_the_assets_are_linked_when_these_come(bench):
    bench.run("rss")
    assert _links(bench) == []
    bench.run()
    assert mentioning.refresh(bench.dependencies) == 2
    assert len(_links(bench)) == 2


def test_links_are_made_again_only_when_assets_have_come(bench):
    bench.run()
    bench.run("rss")
    assert mentioning.refresh(bench.dependencies) == 0
    version = bench.one("select version from data_versions where topic = 'news'").version
    assert mentioning.refresh(bench.dependencies) == 0
    after = bench.one("select version from data_versions where topic = 'news'").version
    assert after == version


def test_old_news_keep_the_links_they_have(bench, feed):
    feed.entries = [entry("a", "Bitcoin rises", at=datetime.now(UTC) - timedelta(days=30))]
    bench.run("rss")
    bench.run()
    assert mentioning.refresh(bench.dependencies) == 0


def test_the_news_of_a_ticker_can_be_asked_for(bench, api):
    bench.run()
    bench.run("rss")
    (found,) = exact(api.get("/news?ticker=btc"))["data"]
    assert found["title"] == "Bitcoin and $SOL rise"
    assert found["assets"] == ["SOL", "BTC"]
    assert exact(api.get("/news?ticker=ONE"))["data"] == []
