"""Which process this is, whether another one of this machine is gone, and what each is spared."""

import gc
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_COLLECT_AFTER = 20_000  # objects; the default is 700


def identity(pid: int | None = None) -> str:
    """Return ``host:pid:start`` of a process, else of this one; unique while the machine runs."""
    pid = pid or os.getpid()
    return f"{socket.gethostname()}:{pid}:{_started(pid)}"


def is_gone(holder: str) -> bool:
    """Tell whether ``holder`` was a process of this machine that has ended.

    A process of another machine is never known to be gone: its lease has to run out.
    """
    host, pid, started = holder.rsplit(":", 2)
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    """Return the start time in clock ticks since boot; without ``/proc``, whether the pid lives."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _lives(pid)
    state, started = (fields := text.rpartition(")")[2].split())[0], fields[19]
    return "" if state == "Z" else started


def _lives(pid: int) -> str:
    if Path("/proc/self").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "unknown"
    return "unknown"


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep the collector of cycles from what the block makes, now and later: what is imported.

    Imports make ten thousands of objects that stay; to look for cycles among them every few
    hundred took a fifth of a start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def spare_the_collector() -> None:
    """Keep the collector of cycles from what was imported, and from looking at each few objects.

    A batch makes ten thousands of small objects and hardly a cycle; together this is a sixth of
    the processor time of a load. The cycles of a long run must be found while it runs all the same:
    looked for too seldom they were memory that grew with the rows.
    """
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 10, 5)
