"""The simulator over HTTP/1.1: threads and keep-alive, from the standard library."""

import socket
import struct
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tasks.core.errors import ConfigurationError, InvalidInputError
from tasks.core.logging import get_logger
from tasks.simulator import control
from tasks.simulator.answers import Answer, error
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.feeds import FEEDS
from tasks.simulator.simulator import Simulator

log = get_logger(__name__)

_DRIPS = 20
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER without waiting: close sends RST
_BODY_MAX_BYTES = 1 << 20
_JOIN_S = 5


class SimulatorServer(ThreadingHTTPServer):
    """A simulator that listens. As a context manager it serves in a thread of its own.

    Attributes:
        simulator: What answers; play with it directly from the same process.
        stopping: Set when the server stops; ends every delay at once.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], simulator: Simulator) -> None:
        """Bind the address; port 0 takes a free one."""
        self.simulator = simulator
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads_of_connections: set[threading.Thread] = set()
        self._serving: threading.Thread | None = None
        super().__init__(address, _Handler)

    @property
    def url(self) -> str:
        """Return where it listens, without a trailing slash."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> Self:
        self._serving = threading.Thread(target=self.serve, name="simulator", daemon=True)
        self._serving.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def serve(self) -> None:
        """Answer until :meth:`stop` is called from another thread."""
        self.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        """Stop listening, break off what is under way, and end every thread."""
        self.stopping.set()
        if self._serving is not None:
            self.shutdown()
            self._serving.join(_JOIN_S)
        self.server_close()
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in tuple(self._threads_of_connections):
            thread.join(_JOIN_S)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread that is known, so that :meth:`stop` can end it."""
        self._open.add(request)
        thread = threading.Thread(
            target=self._converse, args=(request, client_address), daemon=True
        )
        self._threads_of_connections.add(thread)
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and forget it."""
        super().shutdown_request(request)
        self._open.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - inherited
        """Log what went wrong in a connection; a client that hangs up is nothing wrong."""
        problem = sys.exception()
        if not isinstance(problem, ConnectionError):
            log.error("simulator.connection_failed", exc_info=problem)

    def _converse(self, request: Any, client_address: Any) -> None:
        self.process_request_thread(request, client_address)
        self._threads_of_connections.discard(threading.current_thread())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "simulator"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: SimulatorServer

    def do_GET(self) -> None:
        self._respond("GET")

    def do_POST(self) -> None:
        self._respond("POST")

    def do_DELETE(self) -> None:
        self._respond("DELETE")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited
        """Keep quiet: the request log is :class:`Traffic`."""

    def _respond(self, method: str) -> None:
        target = urlsplit(self.path)
        query = dict(parse_qsl(target.query, keep_blank_values=True))
        if target.path.startswith(control.PREFIX):
            return self._send(self._controlled(method, target.path, query))
        if method != "GET":
            return self._send(error("method not allowed", 405))
        headers = {name.lower(): value for name, value in self.headers.items()}
        return self._send(self.server.simulator.handle(target.path, query, headers))

    def _controlled(self, method: str, path: str, query: dict[str, str]) -> Answer:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _BODY_MAX_BYTES:
            return error("body too large", 413)
        try:
            given = control.arguments(self.rfile.read(length))
        except InvalidInputError as problem:
            return error(str(problem), 422)
        return control.handle(self.server.simulator, method, path, {**query, **given})

    def _send(self, answer: Answer) -> None:
        if answer.delay_s:
            self.server.stopping.wait(answer.delay_s)
        if answer.reset:
            return self._reset()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 304:  # noqa: PLR2004 - the one status here without a body
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if answer.drip_s:
            self._drip(answer)
        else:
            self.wfile.write(answer.body[: answer.keep])
        if answer.keep is not None:
            self.close_connection = True
        return self.wfile.flush()

    def _drip(self, answer: Answer) -> None:
        body = answer.body[: answer.keep]
        step = max(1, -(-len(body) // _DRIPS))
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            self.wfile.flush()
            self.server.stopping.wait(answer.drip_s / _DRIPS)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        # The socket closes once both files made of it are closed; only then does the RST go out.
        self.rfile.close()
        self.wfile.close()
        self.connection.close()


def create_server(
    config: SimulatorConfig | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    simulator: Simulator | None = None,
) -> SimulatorServer:
    """Bind a server, ready for ``with`` or :meth:`SimulatorServer.serve`.

    Args:
        config: The market; the demo's default if None.
        host: Address to listen on. The control API needs no key, so keep it a local one.
        port: 0 takes a free one.
        simulator: Serve this one instead of building one from *config*.

    Raises:
        ConfigurationError: If the address cannot be bound.
    """
    try:
        return SimulatorServer((host, port), simulator or Simulator(config))
    except OSError as problem:
        raise ConfigurationError(f"Cannot listen on {host}:{port}: {problem.strerror}") from problem


def environment(url: str, csv_path: str) -> dict[str, str]:
    """Return the settings that point kasparro at a simulator; all else stays as it is.

    Args:
        url: Where the simulator listens, without a trailing slash.
        csv_path: The directory that :func:`tasks.simulator.csv_files.write_csv` has filled.
    """
    return {
        "COINGECKO_BASE_URL": f"{url}/api/v3",
        "COINGECKO_PLAN": "public",
        "COINGECKO_API_KEY": "",
        "COINGECKO_MAX_COINS": "0",
        "COINGECKO_RATE_PER_MINUTE": "6000",
        "COINPAPRIKA_BASE_URL": f"{url}/v1",
        "COINPAPRIKA_API_KEY": "",
        "COINPAPRIKA_RATE_PER_MINUTE": "6000",
        "RSS_URLS": ",".join(f"{url}/feeds/{name}" for name in FEEDS),
        "RSS_RATE_PER_MINUTE": "6000",
        "CSV_PATH": csv_path,
    }
