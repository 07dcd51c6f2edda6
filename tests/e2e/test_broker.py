"""The broker goes away in the middle of a run and comes back."""

import os
import signal
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from service.cli import embedded
from tasks import bootstrap
from tasks.core.settings import load_settings
from tasks.pipeline import lifecycle
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.server import create_server, environment
from tests.support import processes

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def test_a_run_and_its_worker_survive_a_restart_of_the_broker(
    monkeypatch, tmp_path: Path, database_url
):
    broker = tmp_path / "broker"
    config = SimulatorConfig(coins=2000, coingecko_coins=1500, coinpaprika_tickers=10, csv_rows=1)
    with create_server(config) as simulator:
        variables = environment(simulator.url, str(tmp_path / "csv")) | {
            "DATABASE_URL": database_url,
            "REDIS_URL": embedded.start_valkey(broker),
            "SOURCES": "coingecko",
            "TIME_LIMIT_SWEEP_S": "4",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        dependencies = bootstrap.build(load_settings(), role="cli")
        engine = create_engine(database_url, poolclass=NullPool)

        def scalar(sql: str):
            with engine.connect() as connection:
                return connection.scalar(text(sql))

        log = tmp_path / "worker.log"
        with processes.worker(variables, log) as worker:
            processes.wait_until(
                lambda: b"ready." in log.read_bytes(), timeout_s=30, what="the worker is ready"
            )
            simulator.simulator.fail("coingecko", "delay", seconds=3.0, page=3)
            with dependencies.transaction() as session:
                run_id = lifecycle.queue_run(
                    dependencies, session, "coingecko", trigger="cli"
                ).run_id
            assert lifecycle.announce(dependencies, [run_id])
            processes.wait_until(
                lambda: len(simulator.simulator.requests("coingecko")) >= 3,
                timeout_s=30,
                what="the third request is on its way",
            )
            os.kill(int((broker / "pid").read_text()), signal.SIGKILL)
            embedded.start_valkey(broker)
            processes.wait_until(
                lambda: scalar("select status from etl_runs") not in {"queued", "running"},
                timeout_s=60,
                what="the run has ended",
            )
            assert worker.poll() is None, log.read_text()
        embedded.stop_valkey(broker)
        assert scalar("select status from etl_runs") == "success"
        assert scalar("select count(*) from quotes") == 1500
        assert scalar("select count(*) - count(distinct external_id) from quote_history") == 0
