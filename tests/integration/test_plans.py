"""How PostgreSQL reads the histories: by index, and only the months that are asked for."""

import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import event, text

from tasks.store import partitions
from tests.support.api import add_asset

pytestmark = pytest.mark.integration

ASSETS, DAYS = 300, 125
FILL = """
    insert into quote_history (asset_id, source, external_id, observed_at, price_usd,
      market_cap_usd, volume_24h_usd)
    select asset, source, 'c' || asset, date_trunc('day', now()) - n * interval '6 hours',
      1 + (asset * 7919 + n) % 1000 / 7.0, 1e9, 1e6
    from generate_series(1, :assets) asset, generate_series(1, 4 * :days) n,
      (values ('coingecko'), ('coinpaprika')) s (source)
"""
FILL_PUBLISHED = """
    insert into asset_history (valid_from, asset_id, wire_id, ticker, name, rank, price_usd,
      sources, sources_used, created_at, updated_at)
    select b.valid_from + round * interval '6 hours', asset, 'T' || asset, 'T' || asset, 'Name',
      asset, asset + round, '{coingecko}', '{coingecko}', now(), now()
    from asset_baselines b, generate_series(0, 3) round, generate_series(1, :assets) asset
"""
BASELINES = """
    insert into asset_baselines (valid_from, assets)
    select date_trunc('day', now()) - n * interval '1 day', :assets
    from generate_series(1, :days) n
"""

LINK = """
    insert into asset_links (source, external_id, asset_id, method, confidence, identity_key)
    select 'coingecko', 'c' || asset_id, asset_id, 'founded', 1, 'c'
    from assets where ticker = 'ETH'
"""


@pytest.fixture(scope="module")
def api(api_apart):
    return api_apart


def _fill(api):
    with api.transaction() as session:
        session.execute(text("set local statement_timeout = 0"))
        now = session.scalar(text("select now()"))
        for table in partitions.TABLES:
            partitions.ensure(session, table, since=now - timedelta(days=DAYS + 1), until=now)
        for ticker in ("BTC", "ETH", "SOL"):
            add_asset(session, ticker)
        for statement in (FILL, BASELINES, FILL_PUBLISHED):
            session.execute(text(statement), {"assets": ASSETS, "days": DAYS})
        session.execute(text("analyze"))


@pytest.fixture(scope="module")
def plans(api):
    """Make requests over a long history and return the plans of what they do with it."""
    _fill(api)
    statements = []
    reader = api.app.extensions["kasparro"].reader

    @event.listens_for(reader, "before_cursor_execute")
    @event.listens_for(api.dependencies.engine, "before_cursor_execute")
    def _note(_connection, _cursor, statement, parameters, *_rest):
        if "_history" in statement and not statement.startswith("explain"):
            statements.append((statement, parameters))

    def read(url):
        answer = api.get(url)
        assert answer.status_code == 200
        return explained(answer, "analyze, format json")

    def write(url, **kwargs):
        answer = api.post(url, **kwargs)
        assert answer.status_code == 201
        return explained(answer, "format json")  # to analyze it would be to do it again

    def explained(answer, how):
        assert len(answer.data) > 100
        with reader.connect() as connection:
            found = [
                connection.exec_driver_sql(f"explain ({how}) {sql}", given).scalar_one()
                for sql, given in list(statements)
            ]
        statements.clear()
        assert found
        return [node for plan in found for node in _nodes(plan[0]["Plan"])]

    return SimpleNamespace(read=read, write=write)


def _nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _tables(nodes, *, ran=True):
    """The partitions that a plan reads."""
    return {
        node["Relation Name"]
        for node in nodes
        if "_history" in node.get("Relation Name", "") and (not ran or node["Actual Loops"] > 0)
    }


def _scanned(nodes):
    """Partitions with rows in them that are read from one end to the other."""
    return [
        node
        for node in nodes
        if node["Node Type"] == "Seq Scan"
        and "_history" in node["Relation Name"]
        and node["Actual Rows"] + node.get("Rows Removed by Filter", 0) > 0
    ]


@pytest.mark.timeout(90)
def test_no_request_reads_a_history_from_end_to_end(plans, api):
    with api.dependencies.engine.connect() as connection:
        days_ago = {
            days: connection.execute(
                text("select (now() - make_interval(days => :days))::date::text"), {"days": days}
            ).scalar_one()
            for days in (1, 3, 40, 50)
        }
    month = f"start={days_ago[50]}&end={days_ago[40]}"
    urls = [
        "/data/BTC/history",
        "/data/BTC/history?page_size=5&page=2",
        f"/data/BTC/history?{month}",
        "/data/BTC/history?source=coingecko",
        "/data/BTC/history?interval=5m",
        "/data/BTC/history?interval=1h&source=coinpaprika",
        f"/data/BTC/history?interval=1d&{month}",
        "/data/BTC/history?format=ndjson",
        f"/data?as_of={days_ago[1]}",
        f"/data?as_of={days_ago[40]}&sort=-price_usd&limit=200",
        f"/data?as_of={days_ago[3]}&ticker=T7",
    ]
    for url in urls:
        nodes = plans.read(url)
        assert _scanned(nodes) == [], (url, json.dumps(_scanned(nodes), indent=1))
        if "start" in url:
            assert 1 <= len(_tables(nodes, ran=False) - {"quote_history_default"}) <= 2, url
        if "as_of" in url:
            assert 1 <= len(_tables(nodes) - {"asset_history_default"}) <= 2, url


@pytest.mark.timeout(90)
def test_a_decision_carries_an_items_history_over_by_index(plans, api):
    with api.transaction() as session:
        session.execute(text(LINK))
        item = session.scalar(text("select external_id from asset_links"))
    body = {"source": "coingecko", "external_id": item, "id": "SOL"}
    key = {"X-API-Key": api.key("admin")}
    nodes = plans.write("/assets/links", json=body, headers=key)
    months = [node for node in nodes if "quote_history_" in node.get("Relation Name", "")]
    scanned = {n["Relation Name"] for n in months if n["Node Type"] == "Seq Scan"}
    assert len({n["Relation Name"] for n in months} - scanned) > DAYS / 31
    size = text("select sum(pg_relation_size(name)) from unnest(cast(:names as regclass[])) name")
    with api.transaction() as session:
        assert not session.scalar(size, {"names": sorted(scanned)})
    body = api.get("/data/SOL/history?count=exact").json
    assert body["total"] == 2 * 4 * DAYS + 4 * DAYS  # its own of two sources, and the item's
