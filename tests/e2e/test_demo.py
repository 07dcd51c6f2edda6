"""The whole system with one command: real servers, real workers, real signals."""

import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from service.cli.data_directory import DataDirectory
from service.cli.embedded import servers, valkey
from tasks.core import processes
from tests.support import metrics, web
from tests.support.cli import kasparro_process, start_kasparro

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
SETTINGS = {
    "SIMULATOR_COINS": "500",
    "SIMULATOR_COINGECKO": "300",
    "SIMULATOR_COINPAPRIKA": "250",
    "SIMULATOR_CSV_ROWS": "50",
}
UP = "Ctrl-C stops everything."


@pytest.fixture
def directory():
    with tempfile.TemporaryDirectory(prefix="kt-") as short:
        made = DataDirectory(Path(short) / "data")
        yield made
        kasparro_process("down", "--data-dir", made.root)


@pytest.fixture
def port() -> int:
    return valkey.free_port(0)


def _start(directory: DataDirectory, port: int) -> "subprocess.Popen[str]":
    return start_kasparro(
        *("up", "--demo", "--data-dir", directory.root, "--port", port),
        environment=SETTINGS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _until(process: "subprocess.Popen[str]", words: str) -> str:
    """Read what a start says until it says these words."""
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"ended without saying {words!r}:\n{said}")


def _everything_of(directory: DataDirectory) -> list[str]:
    """Return the identities of all processes of a start."""
    pids = [servers.pid_in(directory.postgres / "postmaster.pid")]
    pids.append(servers.pid_in(directory.valkey / "pid"))
    return [*directory.children().values(), *(processes.identity(pid) for pid in pids if pid)]


def test_one_command_runs_every_source_and_leaves_nothing_behind(directory, port, database_url):
    """With a database of the operator's, so that only the broker is embedded."""
    answer = kasparro_process(
        *("demo", "--once", "--data-dir", directory.root, "--port", port),
        environment={**SETTINGS, "DATABASE_URL": database_url},
    )
    assert "All runs succeeded (4 of 4)." in answer.stdout
    assert answer.code == 0
    assert directory.children() == {}
    assert directory.environment() == {}
    assert not directory.postgres.exists()
    assert not valkey.lives(directory.valkey)


def test_a_start_serves_is_alone_and_recovers_from_a_kill(directory, port):
    with _start(directory, port) as killed:
        _until(killed, UP)
        (row,) = web.ask(port, "/data?ticker=BTC").json()["data"]
        assert row["id"] == "BTC"
        assert {"coingecko", "coinpaprika", "csv"} <= set(row["sources"])

        assert list(metrics.departures(web.ask(port, "/metrics").text)) == []

        refused = kasparro_process("up", "--demo", "--data-dir", directory.root, "--port", port)
        assert refused.code == 75
        assert f"pid {killed.pid}" in refused.stderr

        again = kasparro_process("run", "all", "--wait", "--json", "--data-dir", directory.root)
        assert again.code == 0, again.stderr
        assert [run["records_processed"] for run in again.json()] == [0, 0, 0, 0]
        assert all(run["records_unchanged"] for run in again.json())

        left = _everything_of(directory)
        killed.kill()
        killed.wait()
    assert not any(processes.is_gone(identity) for identity in left)

    with _start(directory, port) as recovered:
        said = _until(recovered, UP)
        assert "Ended worker, which an earlier start had left behind." in said
        assert "All runs succeeded (4 of 4)." in said
        everything = [*left, *_everything_of(directory)]
        recovered.send_signal(signal.SIGINT)
        _until(recovered, "Stopping.")
        assert recovered.wait() == 0
    assert all(processes.is_gone(identity) for identity in everything)


def test_a_taken_port_is_named(directory, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        answer = kasparro_process("demo", "--data-dir", directory.root, "--port", port)
    assert answer.code == 78
    assert f"Port {port}" in answer.stderr
    assert "--port" in answer.stderr
