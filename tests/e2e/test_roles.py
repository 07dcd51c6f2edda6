"""Roles as containers start them: real processes, asked by their probes."""

import base64
import json
import time
from http.client import HTTPConnection

import pytest

from service.cli.embedded import valkey
from tests.support import processes
from tests.support.cli import kasparro

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]


@pytest.fixture
def variables(settings, database_url, redis_url, tmp_path) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "KASPARRO_DATA_DIR": str(tmp_path / "data"),
    }


@pytest.fixture
def probe(variables, monkeypatch):
    """Ask a role's probe in this process."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def ask(*arguments: object) -> int:
        return kasparro("probe", *arguments).code

    return ask


@pytest.mark.parametrize(
    ("role", "options"),
    [("worker", ["--queues", "load", "--concurrency", "1"]), ("beat", [])],
    ids=["worker", "beat"],
)
def test_a_role_is_well_once_it_was_seen_and_ends_when_asked(
    variables, probe, tmp_path, role, options
):
    assert probe(role) == 1
    with processes.running(
        ["-m", "service.cli", role, *options], variables, tmp_path / "log"
    ) as process:
        processes.wait_until(lambda: probe(role) == 0, timeout_s=40, what=f"the {role} is seen")
        process.terminate()
        assert process.wait(timeout=20) == 0, (tmp_path / "log").read_text()


def test_the_api_is_well_when_it_is_ready(variables, probe, tmp_path):
    port = valkey.free_port(0)
    arguments = ["-m", "service.cli", "api", "--port", str(port)]
    assert probe("api", "--port", port) == 1
    with processes.running(arguments, variables, tmp_path / "log"):
        processes.wait_until(
            lambda: probe("api", "--port", port) == 0, timeout_s=40, what="the API is ready"
        )


def test_a_broker_that_is_away_is_not_held_against_a_worker(probe, monkeypatch):
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{valkey.free_port(0)}/0")
    began = time.monotonic()
    assert probe("worker") == 0
    assert time.monotonic() - began < 5


def test_flower_for_others_needs_a_password(probe):
    result = kasparro("flower", "--host", "0.0.0.0")  # noqa: S104 - it refuses to
    assert result.code == 78
    assert "FLOWER_BASIC_AUTH" in result.stderr


def test_flower_sees_the_live_workers_and_what_they_did(variables, tmp_path):
    port = valkey.free_port(0)
    flower = ["-m", "service.cli", "flower", "--port", str(port)]
    account = {"FLOWER_BASIC_AUTH": "operator:of-this-test"}
    ticking = variables | {"TIME_LIMIT_SWEEP_S": "1"}
    with (
        processes.running(flower, variables | account, tmp_path / "flower.log"),
        processes.worker(variables, tmp_path / "worker.log", name="seen"),
    ):
        processes.wait_until(
            lambda: _flower(port, "/workers?json=1", account).get("data"),
            timeout_s=40,
            what="Flower sees the worker",
        )
        (worker,) = _flower(port, "/workers?json=1", account)["data"]
        assert worker["hostname"].startswith("seen@")
        with processes.running(["-m", "service.cli", "beat"], ticking, tmp_path / "beat.log"):
            processes.wait_until(
                lambda: _flower(port, "/api/tasks?taskname=kasparro.sweep", account),
                timeout_s=40,
                what="Flower sees a task",
            )
        tasks = _flower(port, "/api/tasks?taskname=kasparro.sweep", account).values()
        assert {task["worker"] for task in tasks} == {worker["hostname"]}
        assert _flower(port, "/workers?json=1", {}) == {}


def _flower(port: int, path: str, account: dict[str, str]) -> dict:
    """Ask Flower; what it does not answer, or not without a password, is empty."""
    user = base64.b64encode(account.get("FLOWER_BASIC_AUTH", "").encode()).decode()
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={"Authorization": f"Basic {user}"})
        answer = connection.getresponse()
        return json.load(answer) if answer.status == 200 else {}
    except OSError:
        return {}
    finally:
        connection.close()


def test_a_worker_of_an_unknown_queue_is_refused(probe):
    result = kasparro("worker", "--queues", "load,lode")
    assert result.code == 2
    assert "lode" in result.stderr


def test_a_role_without_settings_says_which_are_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = kasparro("beat", "--data-dir", tmp_path)
    assert result.code == 78
    assert "DATABASE_URL" in result.stderr
