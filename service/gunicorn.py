"""gunicorn's settings: ``gunicorn -c python:service.gunicorn service.wsgi:app``.

It is a module, not a file under ``deploy/``, so that it is where the package is, installed or not.
``GUNICORN_CMD_ARGS`` and the command line go before it.
"""

import shutil
import signal
import tempfile
import uuid
from http import HTTPStatus
from pathlib import Path
from typing import Any

import gunicorn
from gunicorn import util

from service import draining
from tasks.core import settings as settings_module

_settings = settings_module.load_settings(dotenv=Path(".env"))

# What runs here is nobody's business; gunicorn offers no setting for its ``Server`` header.
gunicorn.SERVER = "kasparro"

# Two processes keep answering while one reloads; a request waits for PostgreSQL, not for Python,
# so threads share a process well. Each thread holds at most one connection.
workers = 2
worker_class = "gthread"
threads = _settings.api_threads
# For gthread this is how long a worker may be silent, not how long a request may take: each thing
# a request waits for has a time-out of its own (statements, pool, Redis).
timeout = 30
# Once it has drained no new connection is taken, and answers on their way may finish, for so long.
graceful_timeout = 30
# Longer than the 60 s after which common proxies drop an idle connection: the proxy must be the
# one to close, or it may send a request into a closing connection.
keepalive = 75
# Against slow leaks; the jitter keeps the workers from leaving together.
max_requests = 20_000
max_requests_jitter = 2_000
# The heartbeat file on a disk would stop a worker whenever the disk does.
worker_tmp_dir = "/dev/shm"  # noqa: S108 - gunicorn makes a private file in it
# Off: it would make a socket in a home directory that a container may not have.
control_socket_disable = True
# Every argument of a list at its longest, percent-encoded, fits; gunicorn allows no more.
limit_request_line = 8190
limit_request_fields = 60
limit_request_field_size = 8190
# Workers load the app after the fork, so no connection is ever shared.
preload_app = False
# The app writes its own access log, one JSON line for each request.
accesslog = None
errorlog = "-"
logger_class = "service.observability.server_log.Logger"  # gunicorn's own lines, as JSON too
# Counters of all workers are summed from files here; each start begins anew.
_metrics_directory = tempfile.mkdtemp(prefix="kasparro-metrics-")
raw_env = [f"PROMETHEUS_MULTIPROC_DIR={_metrics_directory}"]


def _refuse(client: Any, status: int, _reason: str, _message: str) -> None:
    """Refuse what cannot be read as a request, as any other error; its text may be hostile."""
    from service import encoding, errors  # noqa: PLC0415 - only workers need, and have, them

    request_id = str(uuid.uuid4())
    body = encoding.encode(errors.body_of(status, request_id=request_id))
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\n"
        f"Content-Type: {errors.MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\nX-Request-ID: {request_id}\r\n\r\n"
    )
    util.write_nonblock(client, head.encode() + body)


util.write_error = _refuse


def when_ready(server: Any) -> None:
    """Let the first SIGTERM only announce the end; the second one, ours or not, brings it.

    A balancer needs some seconds to see that the process is not ready any more. What it sends
    until then is answered.
    """
    end = server.handle_term

    def drain() -> None:
        if draining.begin() and _settings.api_drain_s:
            server.log.info("Draining for %d s", _settings.api_drain_s)
            signal.alarm(_settings.api_drain_s)
        else:
            end()

    server.handle_term = drain
    # The arbiter works signals off between its other duties; this one only says SIGTERM again.
    signal.signal(signal.SIGALRM, lambda _number, frame: server.signal(signal.SIGTERM, frame))


def post_fork(_server: Any, worker: Any) -> None:
    """Let the pools be as large as the threads are, whoever said how many."""
    settings_module.provide({"API_THREADS": str(worker.cfg.threads)})


def on_exit(_server: Any) -> None:
    """Remove the counters' files."""
    shutil.rmtree(_metrics_directory, ignore_errors=True)


def child_exit(_server: Any, worker: Any) -> None:
    """Take a dead worker's gauges out of the sum; its counters stay in it."""
    from prometheus_client import multiprocess  # noqa: PLC0415 - it reads the environment

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
