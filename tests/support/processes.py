"""Real processes of ours, with conditions to wait for instead of time to let pass."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_POLL = 0.05


def wait_until(condition: Callable[[], bool], *, timeout_s: float, what: str) -> None:
    """Poll until ``condition`` holds; fail the test with ``what`` when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s} s")
        time.sleep(_POLL)


def start(arguments: list[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen:
    """Start a program of this interpreter in its own process group."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=clean | {"PYTHONPATH": str(ROOT)} | dict(environment),
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@contextmanager
def running(
    arguments: list[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen]:
    """Run a program of this interpreter in its own process group, until the block ends."""
    process = start(arguments, environment, log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def worker_arguments(*, concurrency: int = 2, name: str = "worker") -> list[str]:
    """Return what makes a Celery worker on all queues."""
    return [
        *("-m", "celery", "-A", "tasks.celery_app", "worker", "-n", f"{name}@%h"),
        *("-c", str(concurrency), "--without-gossip", "--without-mingle", "-l", "INFO"),
    ]


def worker(
    environment: Mapping[str, str], log: Path, *, concurrency: int = 2, name: str = "worker"
):
    """Run a Celery worker on all queues."""
    return running(worker_arguments(concurrency=concurrency, name=name), environment, log)
