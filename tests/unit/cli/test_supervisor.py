"""With real processes of little work, and a clock that runs fast."""

import os
import signal
import subprocess
import sys

import pytest

from service.cli.data_directory import DataDirectory
from service.cli.programs import Child
from service.cli.supervisor import Supervisor
from tasks.core import processes
from tasks.core.errors import UnavailableError
from tests.support.cli import ROOT
from tests.support.fast_clock import fast_clock


@pytest.fixture
def directory(tmp_path):
    directory = DataDirectory(tmp_path / "data")
    with directory.held():
        yield directory


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(directory, said) -> Supervisor:
    return Supervisor(directory, said.append, clock=fast_clock())


@pytest.fixture
def child(directory):
    def make(script: str, *, name: str = "child", patience_s: float = 5.0) -> Child:
        log = directory.logs / f"{name}.log"
        return Child(name=name, command=("/bin/sh", "-c", script), log=log, patience_s=patience_s)

    return make


def _lines(path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_a_child_that_dies_is_started_again_and_a_sentence_says_why(
    supervisor, child, said, tmp_path
):
    lives = tmp_path / "lives"
    with supervisor.running():
        supervisor.start(child(f"echo x >> '{lives}'; echo no luck; exit 3"))
        supervisor.wait_until(lambda: len(_lines(lives)) == 3)
    assert "child | no luck" in said
    assert any("ended with exit code 3" in line and "again in 0.5 s" in line for line in said)


def test_a_child_that_keeps_dying_ends_the_start_and_names_its_log(supervisor, child, directory):
    with supervisor.running():
        supervisor.start(child("kill -9 $$"))
        with pytest.raises(UnavailableError, match="was ended by SIGKILL, 6 times") as gave_up:
            supervisor.wait_until(lambda: False)
    assert str(directory.logs / "child.log") in str(gave_up.value)


def test_waiting_has_a_limit(supervisor):
    with supervisor.running():
        assert not supervisor.wait_until(lambda: False, at_most_s=0.5)


def test_children_end_with_their_own_children_in_reverse_order(supervisor, child, tmp_path):
    order, grandchildren = tmp_path / "order", tmp_path / "grandchildren"
    script = "trap 'echo {0} >> {1}; exit' TERM; sleep 600 & echo $! >> {2}; wait"
    with supervisor.running():
        for name in ("first", "second"):
            supervisor.start(child(script.format(name, order, grandchildren), name=name))
        supervisor.wait_until(lambda: len(_lines(grandchildren)) == 2)
        held = [processes.identity(int(pid)) for pid in _lines(grandchildren)]
    assert _lines(order) == ["second", "first"]
    assert all(processes.is_gone(identity) for identity in held)


def test_a_child_that_does_not_listen_is_killed(supervisor, child, tmp_path):
    script = f"trap '' TERM; echo up > '{tmp_path}/up'; while :; do sleep 1; done"
    deaf = child(script, patience_s=0.1)
    with supervisor.running():
        supervisor.start(deaf)
        supervisor.wait_until((tmp_path / "up").exists)
        identity = deaf.identity
    assert processes.is_gone(identity)


def test_a_start_ends_what_a_killed_one_left_behind(directory, child, supervisor, said):
    left = child("sleep 600")
    left.start()
    identity = left.identity
    directory.keep_children({"worker": identity})
    with supervisor.running():
        assert processes.is_gone(identity)
    assert said == ["Ended worker, which an earlier start had left behind."]
    left.kill()


def test_grandchildren_of_a_killed_child_are_found_by_their_group(
    directory, child, supervisor, tmp_path
):
    left = child(f"sleep 600 & echo $! > '{tmp_path}/pid'; wait")
    left.start()
    supervisor.wait_until(lambda: _lines(tmp_path / "pid"))
    orphan = processes.identity(int(_lines(tmp_path / "pid")[0]))
    leader = left.identity
    pid = int(leader.rsplit(":", 2)[1])
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    directory.keep_children({"worker": leader})
    with supervisor.running():
        assert processes.is_gone(orphan)
    left.kill()


def test_a_recorded_pid_that_is_somebody_elses_by_now_is_left_alone(directory, supervisor, said):
    host, pid, _ = processes.identity().rsplit(":", 2)
    directory.keep_children({"worker": f"{host}:{pid}:1", "api": f"another-host:{pid}:1"})
    with supervisor.running():
        assert said == []


_IMPATIENT = """
import sys
from pathlib import Path
from service.cli.data_directory import DataDirectory
from service.cli.programs import Child
from service.cli.supervisor import Supervisor

directory = DataDirectory(Path(sys.argv[1]))
with directory.held():
    supervisor = Supervisor(directory, print)
    with supervisor.running():
        script = "trap '' TERM; echo $$; while :; do sleep 1; done"
        log = directory.logs / "deaf.log"
        supervisor.start(Child("deaf", ("/bin/sh", "-c", script), log, patience_s=600))
        supervisor.wait_until(lambda: log.read_text().strip() != "")
        print("up", flush=True)
        supervisor.wait_until(lambda: False)
"""


def test_the_second_request_to_end_is_obeyed_at_once(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-u", "-c", _IMPATIENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout.readline() == "up\n"
        deaf = processes.identity(int((tmp_path / "logs/deaf.log").read_text()))
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "Stopping.\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
    assert processes.is_gone(deaf)
