"""Roles as containers start them: real processes, asked by their probes."""

import time

import pytest

from service.cli import probes
from service.cli.embedded import valkey
from tests.support import processes, web
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


def test_a_database_that_is_away_is_not_held_against_the_api(variables, probe, tmp_path):
    port = valkey.free_port(0)
    away = {"DATABASE_URL": f"postgresql://nobody@127.0.0.1:{valkey.free_port(0)}/none"}
    with processes.running(
        ["-m", "service.cli", "api", "--port", str(port)], variables | away, tmp_path / "log"
    ):
        processes.wait_until(
            lambda: probe("api", "--port", port) == 0, timeout_s=40, what="the API answers"
        )
        assert probes.status(port, "/health/ready") == 503


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
    password = "operator:of-this-test"

    def shown(path: str) -> dict:
        answer = web.ask(port, path, headers=web.account(password))
        return answer.json() if answer.status == 200 else {}

    ticking = variables | {"TIME_LIMIT_SWEEP_S": "1"}
    guarded = variables | {"FLOWER_BASIC_AUTH": password}
    with (
        processes.running(flower, guarded, tmp_path / "flower.log"),
        processes.worker(variables, tmp_path / "worker.log", name="seen"),
    ):
        processes.wait_until(
            lambda: shown("/workers?json=1").get("data"),
            timeout_s=40,
            what="Flower sees the worker",
        )
        (worker,) = shown("/workers?json=1")["data"]
        assert worker["hostname"].startswith("seen@")
        with processes.running(["-m", "service.cli", "beat"], ticking, tmp_path / "beat.log"):
            processes.wait_until(
                lambda: shown("/api/tasks?taskname=kasparro.sweep"),
                timeout_s=40,
                what="Flower sees a task",
            )
        tasks = shown("/api/tasks?taskname=kasparro.sweep").values()
        assert {task["worker"] for task in tasks} == {worker["hostname"]}
        assert web.ask(port, "/workers?json=1").status == 401


def test_a_worker_of_an_unknown_queue_is_refused(probe):
    result = kasparro("worker", "--queues", "load,lode")
    assert result.code == 2
    assert "lode" in result.stderr


def test_a_role_without_settings_says_which_are_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = kasparro("beat", "--data-dir", tmp_path)
    assert result.code == 78
    assert "DATABASE_URL" in result.stderr
