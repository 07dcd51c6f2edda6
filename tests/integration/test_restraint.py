"""A source that wants to be left alone is, by every worker: the real gate before a real vendor."""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from tasks import bootstrap
from tasks.core.settings import load_settings
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.server import create_server, environment
from tests.support.engine import ListPublisher, Workbench

pytestmark = pytest.mark.integration


@pytest.fixture
def simulator(settings, monkeypatch, tmp_path):
    """Two full pages of coins, and settings that lead to them."""
    config = SimulatorConfig(coins=500, coingecko_coins=500, coinpaprika_tickers=1, moving=False)
    with create_server(config) as server:
        variables = environment(server.url, str(tmp_path)) | {"SOURCES": "coingecko"}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield server.simulator


@pytest.fixture
def worker():
    """Build what another worker process would have."""
    with ExitStack() as built:

        def build() -> Workbench:
            dependencies = bootstrap.build(load_settings(), role="worker")
            built.callback(dependencies.engine.dispose)
            built.callback(dependencies.redis.close)
            publisher = ListPublisher()
            return Workbench(
                replace(dependencies, publisher=publisher), publisher, dict(dependencies.connectors)
            )

        yield build


def test_a_month_that_is_spent_skips_the_run_with_its_reason_and_without_a_call(
    simulator, worker, monkeypatch
):
    monkeypatch.setenv("COINGECKO_MONTHLY_BUDGET", "1")
    for bench in (worker(), worker()):
        run = bench.one("select * from etl_runs where run_id = :id", id=bench.run())
        assert (run.status, run.error_code) == ("skipped", "BudgetSpentError")
        assert "The 1 calls to coingecko of this month are made" in run.error_message
    assert len(simulator.requests("coingecko")) == 1
    assert bench.rows("select 1 from etl_checkpoints where checkpoint <> '{}'") == []


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
def test_a_vendor_that_asks_for_silence_gets_it_from_every_worker(simulator, worker, as_date):
    simulator.fail("coingecko", "status", status=429, retry_after_s=119, retry_after_date=as_date)
    first, second = worker(), worker()
    first.start()
    (message,) = first.publisher.messages
    assert first.step(message).counts
    waiting = second.step(message)
    assert (waiting.delay_s, waiting.counts) == (45, False)
    assert len(simulator.requests("coingecko")) == 1
    (waited,) = second.rows("select detail from run_events where event = 'fetch_waited'")
    assert "coingecko" in waited.detail["reason"]
