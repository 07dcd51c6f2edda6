"""One request as the log and the client see it: its id, its time, its one line in the log."""

import logging
import re
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from flask import Flask, Response, current_app, g, request
from sqlalchemy import Engine, event

from tasks.core.clock import Clock
from tasks.core.logging import get_logger

# Nothing else may enter a log line or a header from outside.
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
QUIET = {"/health", "/health/live", "/health/ready", "/metrics"}
_LOGGER = "service.access"
_log = get_logger(_LOGGER)


class _Database(threading.local):
    """What the database has taken of the time of the request that this thread is at."""

    spent_s = 0.0


_database = _Database()


def init_app(app: Flask, *, clock: Clock, engines: Iterable[Engine]) -> None:
    """Give each request an id and a stopwatch, and log it when it is answered."""
    app.extensions["kasparro_clock"] = clock
    app.before_request(_begin)
    app.after_request(_finish)
    for engine in engines:
        time_database(engine, clock)


def request_id() -> str:
    """Return the id of the current request."""
    known: str = g.request_id
    return known


def latency_ms(clock: Clock) -> float:
    """Return the milliseconds since the current request came in."""
    began_s: float = g.began_s
    return round((clock.monotonic() - began_s) * 1000, 3)


def time_database(engine: Engine, clock: Clock) -> None:
    """Add the time of every statement of this engine to the request it is made for."""

    def before(
        _connection: Any, _cursor: Any, _sql: Any, _params: Any, context: Any, _m: Any
    ) -> None:
        context._kasparro_began_s = clock.monotonic()  # noqa: SLF001 - SQLAlchemy's own recipe

    def after(
        _connection: Any, _cursor: Any, _sql: Any, _params: Any, context: Any, _m: Any
    ) -> None:
        _database.spent_s += clock.monotonic() - context._kasparro_began_s  # noqa: SLF001

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)


@contextmanager
def timed_database(clock: Clock) -> Iterator[None]:
    """Add the time of the block, which asks the driver itself, to the current request."""
    began_s = clock.monotonic()
    try:
        yield
    finally:
        _database.spent_s += clock.monotonic() - began_s


def database_ms() -> float:
    """Return the milliseconds that this request has waited for the database so far."""
    return round(_database.spent_s * 1000, 3)


def arrive() -> None:
    """Say that this thread begins with another request."""
    _database.spent_s = 0.0


def begin(given: str) -> str:
    """Bind the log to a request and return its id: the caller's if it is a sane one, else new."""
    number = given if _SANE_ID.fullmatch(given) else str(uuid.uuid4())
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=number)
    return number


def timing(took_ms: float) -> str:
    """Return the value of ``Server-Timing``."""
    return f"total;dur={took_ms}, db;dur={database_ms()}"


def log_answer(path: str, **facts: Any) -> None:
    """Write the request's line, unless nobody wants it; what the database took is added."""
    level = logging.DEBUG if path in QUIET else logging.INFO
    if logging.getLogger(_LOGGER).isEnabledFor(level):  # asked first: to find out later is dear
        _log.log(level, "request_answered", path=path, database_ms=database_ms(), **facts)


def _begin() -> None:
    arrive()
    g.began_s = _clock().monotonic()
    g.request_id = begin(request.headers.get("X-Request-ID", ""))


def _finish(response: Response) -> Response:
    took_ms = latency_ms(_clock())
    response.headers["X-Request-ID"] = g.request_id
    response.headers["Server-Timing"] = timing(took_ms)
    log_answer(
        request.path,
        method=request.method,
        status=response.status_code,
        duration_ms=took_ms,
        bytes=response.content_length,  # to calculate it would read a stream to its end
        actor=g.get("actor"),
        remote=request.remote_addr,
    )
    return response


def _clock() -> Clock:
    clock: Clock = current_app.extensions["kasparro_clock"]
    return clock
