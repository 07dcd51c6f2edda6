import subprocess
import sys

from tasks.core import processes


def test_a_running_process_is_not_gone():
    assert not processes.is_gone(processes.identity())


def test_an_ended_process_is_gone():
    code = "from tasks.core import processes; print(processes.identity())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert processes.is_gone(done.stdout.strip())


def test_a_process_of_another_machine_is_never_known_to_be_gone():
    assert not processes.is_gone("another-machine:1:1")
