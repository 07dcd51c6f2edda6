"""What ``probe`` asks each role; the answer is a problem, empty if there is none.

A probe runs every few seconds for as long as a container lives, so it imports only what its own
question takes.
"""

import socket
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tasks.core.errors import UnavailableError

_TIMEOUT_S = 2.0
_DATABASE_AWAY = b'"database":"unavailable"'
OK = 200
PAGES = {
    "api": (8000, "/health/ready"),
    "flower": (5555, "/healthcheck"),
    "simulator": (8100, "/feeds/wire"),
}


def status(port: int, path: str) -> int | None:
    """Ask a program on this host for a page; None if it does not answer."""
    return _asked(port, path)[0]


def page(role: str, port: int | None = None) -> str:
    """Ask for the page that a role answers when it is well."""
    default_port, path = PAGES[role]
    found, body = _asked(port or default_port, path)
    is_well = found == OK or (role == "api" and _DATABASE_AWAY in body)
    return "" if is_well else f"{path} answers {found or 'nothing'}."


def _asked(port: int, path: str) -> tuple[int | None, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException):
        return None, b""
    finally:
        connection.close()


def heartbeat(role: str, name: str, data_dir: Path) -> str:
    """Ask whether the worker or beat of this host was seen lately."""
    from service.cli import connecting  # noqa: PLC0415 - see the module's docstring
    from tasks.coordination import workers  # noqa: PLC0415 - as above
    from tasks.coordination.redis_client import create_redis_client  # noqa: PLC0415 - as above

    host = socket.gethostname()
    settings = connecting.settings_of(data_dir)
    with closing(create_redis_client(settings.redis_url)) as client:
        try:
            if role == "beat":
                seen = workers.is_seen(client, host, kind="beats")
            else:
                seen = workers.is_seen(client, f"{name}@{host}")
        except UnavailableError:
            return ""
    return "" if seen else f"The {role} on {host} was not seen within the last minute."
