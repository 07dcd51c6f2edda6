"""What the roles write to their logs, with secrets planted wherever one can come from."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from service.cli import embedded
from service.cli.embedded import valkey
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.server import create_server, environment
from tests.support import processes, web

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
PLANTED = {
    name: f"planted-secret-in-{name}"
    for name in (
        "token",
        "key",
        "webhook",
        "feed",
        "header",
        "query",
        "payload",
        "rejected",
        "body",
    )
}
# Celery writes this from its signal handler, past every log.
SAID_BY_A_SIGNAL = {"", "worker: Warm shutdown (MainProcess)"}
ROWS = f"""symbol,name,price
BTC,{PLANTED["payload"]},64000
ETH,Ether,{PLANTED["rejected"]}
"""


@pytest.fixture
def variables(database_url, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Everything at its most talkative, against vendors of whom one fails for a while."""
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "market.csv").write_text(ROWS)
    config = SimulatorConfig(coins=10, coingecko_coins=5, coinpaprika_tickers=5, csv_rows=1)
    with create_server(config) as server:
        server.simulator.fail("coingecko", "status", status=500, times=1)
        yield environment(server.url, str(tmp_path / "csv")) | {
            "DATABASE_URL": database_url,
            "REDIS_URL": embedded.start_valkey(tmp_path / "broker"),
            "SOURCES": "coingecko,csv,rss",
            "LOG_LEVEL": "DEBUG",
            "SCHEDULER_TOKEN": PLANTED["token"],
            "COINGECKO_PLAN": "demo",
            "COINGECKO_API_KEY": PLANTED["key"],
            "ALERT_WEBHOOK_URL": f"{server.url}/nothing-here?token={PLANTED['webhook']}",
            "ALERT_WEBHOOK_SECRET": PLANTED["webhook"],
            "RSS_URLS": f"{server.url}/nothing-here?api_key={PLANTED['feed']}",
            "TIME_LIMIT_SWEEP_S": "1",
        }
    embedded.stop_valkey(tmp_path / "broker")


def test_every_line_is_json_and_none_shows_a_secret(variables, tmp_path: Path):
    port = valkey.free_port(0)
    logs = {role: tmp_path / f"{role}.log" for role in ("worker", "beat", "api")}
    api = ["-m", "service.cli", "api", "--port", str(port)]
    worker = ["-m", "service.cli", "worker"]
    with (
        processes.running(worker, variables, logs["worker"]),
        processes.running(["-m", "service.cli", "beat"], variables, logs["beat"]),
        processes.running(api, variables, logs["api"]),
    ):
        processes.wait_until(
            lambda: web.is_ok(port, "/health/ready"),
            timeout_s=40,
            what="the API is ready",
        )
        token = {"X-Scheduler-Token": PLANTED["token"]}
        stranger = {"X-API-Key": PLANTED["header"]}
        assert web.ask(port, "/data", headers=stranger).status == 401
        assert web.ask(port, f"/data?password={PLANTED['query']}").status == 422
        trigger = partial(web.ask, port, "/etl/run", method="POST", headers=token)
        assert trigger(body=f'{{"key": "{PLANTED["body"]}"}}').status > 400
        assert trigger().status == 202
        said = logs["worker"].read_text
        processes.wait_until(
            lambda: "upstream_call_retried" in said() and "stage_given_up" in said(),
            timeout_s=60,
            what="a call was tried again and a run has failed",
        )
        processes.wait_until(
            lambda: "Sending due task" in logs["beat"].read_text(),
            timeout_s=40,
            what="beat has sent something",
        )
    records = {role: _records(log) for role, log in logs.items()}
    for role, lines in records.items():
        assert {"event", "level", "logger", "timestamp"} <= set.intersection(*map(set, lines)), role
    tasks = [line for line in records["worker"] if line.get("task") == "kasparro.fetch.coingecko"]
    assert all({"run_id", "page", "task_id"} <= line.keys() for line in tasks)
    assert any(line["logger"].startswith("celery") for line in records["worker"])
    everything = "\n".join(log.read_text() for log in logs.values())
    password = variables["REDIS_URL"].partition("//:")[2].partition("@")[0]
    assert password
    shown = [secret for secret in (*PLANTED.values(), password) if secret in everything]
    assert shown == []


def _records(log: Path) -> list[dict]:
    lines = [line for line in log.read_text().splitlines() if line not in SAID_BY_A_SIGNAL]
    return [json.loads(line) for line in lines]
