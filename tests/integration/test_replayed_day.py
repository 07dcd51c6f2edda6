"""A day of the simulated market, read by the real connectors over HTTP, and then replayed."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tasks.pipeline import replaying
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.server import create_server
from tasks.sources import registry
from tasks.sources.gates import OpenGate
from tasks.sources.http import HttpLimits, RequestsHttpClient
from tests.support.clocks import FakeClock
from tests.support.engine import workbench

pytestmark = pytest.mark.integration

PATHS = {"coingecko": "/api/v3", "coinpaprika": "/v1"}
TICKS_OF_SIX_HOURS = 72
EVER = {"since": datetime(2020, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC)}
TABLES = {
    "quotes": "select * from quotes order by source, external_id",
    "history": "select * from quote_history order by source, external_id, observed_at",
    "links": "select * from asset_links order by source, external_id",
    "assets": "select asset_id, wire_id, price_usd, source, sources from assets order by 1",
    "rejections": "select source, digest, rule, field, state from rejections order by 1, 2, 3, 4",
    "checkpoints": "select * from etl_checkpoints order by source",
}


@pytest.fixture
def simulator():
    config = SimulatorConfig(coins=500, coingecko_coins=300, coinpaprika_tickers=250, moving=False)
    with create_server(config) as server:
        yield server


@pytest.fixture
def bench(settings, simulator):
    sources = {
        name: replace(settings.sources[name], base_url=simulator.url + path, max_coins=None)
        for name, path in PATHS.items()
    }
    settings = replace(settings, sources=settings.sources | sources)
    clock = FakeClock(start=datetime.now(UTC)).clock()
    http = RequestsHttpClient("vendor", clock, gate=OpenGate(), limits=HttpLimits())
    with workbench(settings, *map(registry.get, PATHS)) as bench:
        bench.dependencies = replace(bench.dependencies, http_client=lambda source: http)
        yield bench
    http.close()


def snapshot(bench):
    return {name: bench.rows(sql) for name, sql in TABLES.items()}


def test_a_replay_of_a_day_makes_no_call_and_gives_the_same_tables(bench, simulator):
    for _ in range(4):
        for source in PATHS:
            assert bench.status(bench.run(source)) == "success"
        simulator.simulator.advance(TICKS_OF_SIX_HOURS)
    before = snapshot(bench)
    assert len(before["quotes"]) == 550
    assert len(before["history"]) > 2 * 550
    simulator.simulator.reset()
    for source in PATHS:
        run_id = replaying.replay_between(bench.dependencies, source, **EVER)
        bench.drain()
        run = bench.one("select * from etl_runs where run_id = :id", id=run_id)
        assert (run.status, run.records_unchanged) == ("success", 0)
        assert run.records_processed > 4 * 200
        assert simulator.simulator.requests(source) == []
    assert snapshot(bench) == before
