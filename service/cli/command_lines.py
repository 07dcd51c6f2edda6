"""How each role is started: one argument list for each, for the supervisor and for containers."""

import sys
from collections.abc import Iterable
from pathlib import Path

QUEUES = ("fetch", "transform", "load", "maintenance")
"""What workers consume; a test compares them with those that tasks are sent to."""
WORKER_NAME = "kasparro"
_CELERY = ("celery", "--quiet", "-A", "tasks.celery_app")


def own(*arguments: str) -> tuple[str, ...]:
    """Return the command line of a command of ours."""
    return _module("service.cli", *arguments)


def api(*, host: str, port: int) -> tuple[str, ...]:
    """Return gunicorn's command line; ``GUNICORN_CMD_ARGS`` can add to it."""
    bind = ("--bind", f"{host}:{port}")
    return _module("gunicorn", *bind, "--config", "python:service.gunicorn", "service.wsgi:app")


def worker(*, queues: Iterable[str], concurrency: int, name: str = WORKER_NAME) -> tuple[str, ...]:
    """Return a worker's command line.

    Args:
        queues: What it consumes.
        concurrency: How many processes it forks.
        name: Tells several workers of one host apart; the host's name is added to it.
    """
    # Gossip and mingle are chatter between workers that nothing here listens to.
    quiet = ("--without-gossip", "--without-mingle", "--hostname", f"{name}@%h")
    size = ("--queues", ",".join(queues), "--concurrency", str(concurrency))
    return _module(*_CELERY, "worker", *size, *quiet)


def beat(*, schedule: Path) -> tuple[str, ...]:
    """Return beat's command line; losing the file *schedule* does no harm, slots are aligned."""
    return _module(*_CELERY, "beat", "--schedule", str(schedule), "--pidfile", "")


def flower(*, host: str, port: int, is_read_only: bool = True) -> tuple[str, ...]:
    """Return Flower's command line; it takes ``FLOWER_BASIC_AUTH`` from the environment."""
    address = (f"--address={host}", f"--port={port}", f"--read_only={is_read_only}")
    return _module(*_CELERY, "flower", *address)


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)
