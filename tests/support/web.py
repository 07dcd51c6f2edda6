"""A page of a program on this machine, as its caller gets it."""

import base64
import json
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """What came back; status 0 if nothing did."""

    status: int
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def ask(
    port: int,
    path: str,
    *,
    method: str = "GET",
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Ask once."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode())
    except (OSError, HTTPException):
        return Answer(0, "")
    finally:
        connection.close()


def is_ok(port: int, path: str) -> bool:
    """Tell whether a page answers 200."""
    return ask(port, path).status == HTTPStatus.OK


def account(text: str) -> dict[str, str]:
    """Return the header of a ``user:password``."""
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}
