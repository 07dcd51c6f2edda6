"""The calls of a source, counted by the one who is called, while several processes make them."""

import multiprocessing
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tasks import bootstrap
from tasks.coordination.budget import CallLimits, RedisBudget
from tasks.coordination.circuit import RedisCircuit
from tasks.coordination.gate import RedisGate
from tasks.coordination.redis_client import create_redis_client
from tasks.core.clock import system_clock
from tasks.core.errors import BudgetWaitError
from tasks.core.settings import load_settings
from tasks.pipeline import backfilling, lifecycle
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.server import create_server, environment
from tasks.sources.http import HttpLimits, RequestsHttpClient
from tests.support import processes
from tests.support.crashes import ENDED
from tests.support.engine import ListPublisher, Workbench

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PROCESSES = 4
RATE = 30
WINDOW_S = 2.0
CALLS_EACH = 20


def _call(url: str, redis_url: str) -> int:
    """Make this process's calls as fast as the budget lets it; return how often it had to wait."""
    client, clock, waits = create_redis_client(redis_url), system_clock(), []
    limits = CallLimits(rate=RATE, monthly=None, window_s=WINDOW_S, jitter_s=1.5)
    budget = RedisBudget(client, clock, "coingecko", limits)
    gate = RedisGate("coingecko", budget, RedisCircuit(client, "coingecko"))
    http = RequestsHttpClient("coingecko", clock, gate=gate, limits=HttpLimits())
    made = 0
    while made < CALLS_EACH:
        try:
            http.get(f"{url}/api/v3/coins/markets", params={"vs_currency": "usd", "page": 1})
            made += 1
        except BudgetWaitError as wait:
            waits.append(wait)
            clock.sleep(wait.retry_after_s)
    return len(waits)


def test_four_processes_never_call_more_often_than_is_allowed(redis_url):
    """Over windows of two seconds; the same arithmetic as over those of a minute."""
    config = SimulatorConfig(coins=10, coingecko_coins=10, coinpaprika_tickers=1, csv_rows=1)
    with (
        create_server(config) as server,
        multiprocessing.get_context("forkserver").Pool(PROCESSES) as pool,
    ):
        waits = pool.starmap(_call, [(server.url, redis_url)] * PROCESSES, chunksize=1)
        assert server.simulator.max_in_window("coingecko", WINDOW_S) <= RATE
        assert len(server.simulator.requests("coingecko")) == PROCESSES * CALLS_EACH
    assert sum(waits) > 0


@pytest.mark.chaos
def test_four_workers_never_call_more_than_thirty_times_in_a_minute(
    settings, monkeypatch, tmp_path, database_url, redis_url
):
    """In real time: a live run of 20 pages and a backfill beside it share the vendor's budget."""
    config = SimulatorConfig(
        coins=5_000, coingecko_coins=5_000, coinpaprika_tickers=1, csv_rows=1, moving=False
    )
    with create_server(config) as server, ExitStack() as running:
        simulator = server.simulator
        simulator.limit("coingecko", RATE)
        variables = environment(server.url, str(tmp_path)) | {
            "SOURCES": "coingecko",
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "COINGECKO_RATE_PER_MINUTE": str(RATE),
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        _load_some_coins(monkeypatch)
        dependencies = bootstrap.build(load_settings(), role="cli")
        logs = [tmp_path / f"worker-{number}.log" for number in range(PROCESSES)]
        for number, log in enumerate(logs):
            running.enter_context(
                processes.worker(variables, log, concurrency=1, name=f"worker-{number}")
            )
        with dependencies.transaction() as session:
            live = lifecycle.queue_run(dependencies, session, "coingecko", trigger="cli").run_id
        lifecycle.announce(dependencies, [live])
        until = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        plan = backfilling.plan(
            dependencies, "coingecko", since=until - timedelta(days=1), until=until, coins=None
        )
        past = backfilling.start(dependencies, plan)
        bench = Workbench(dependencies, ListPublisher(), dict(dependencies.connectors))
        processes.wait_until(
            lambda: (
                {bench.status(live)} <= ENDED and len(simulator.requests("coingecko")) > 2 * RATE
            ),
            timeout_s=240,
            what="the calls of more than two minutes are made",
        )
        assert bench.status(live) in {"success", "partial"}
        assert bench.status(past) in {"running", "success"}
        assert simulator.max_in_window("coingecko", 60.0) <= RATE
        assert set(simulator.state()["requests"]["coingecko"]) == {200}
        worked = [b"Task kasparro.fetch.coingecko" in log.read_bytes() for log in logs]
        assert worked == [True] * PROCESSES
        dependencies.engine.dispose()


def _load_some_coins(monkeypatch) -> None:
    """Let one call bring the coins whose past is going to be asked for."""
    with monkeypatch.context() as patch:
        patch.setenv("COINGECKO_MAX_COINS", "250")
        built = bootstrap.build(load_settings(), role="cli")
    publisher = ListPublisher()
    bench = Workbench(replace(built, publisher=publisher), publisher, dict(built.connectors))
    assert bench.status(bench.run()) == "success"
    built.engine.dispose()
