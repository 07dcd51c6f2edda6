"""What ``probe`` asks each role; the answer is a problem, empty if there is none."""

import socket
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from service.cli import connecting
from tasks.coordination import workers
from tasks.coordination.redis_client import create_redis_client
from tasks.core.errors import UnavailableError

_TIMEOUT_S = 2.0
OK = 200
PAGES = {
    "api": (8000, "/health/ready"),
    "flower": (5555, "/healthcheck"),
    "simulator": (8100, "/feeds/wire"),
}


def status(port: int, path: str) -> int | None:
    """Ask a program on this host for a page; None if it does not answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def page(role: str, port: int | None = None) -> str:
    """Ask for the page that a role answers when it is well."""
    default_port, path = PAGES[role]
    found = status(port or default_port, path)
    return "" if found == OK else f"{path} answers {found or 'nothing'}."


def heartbeat(role: str, name: str, data_dir: Path) -> str:
    """Ask whether the worker or beat of this host was seen lately."""
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
