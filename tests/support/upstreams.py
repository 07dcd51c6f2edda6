"""A real HTTP server on this machine that answers what a test wrote down."""

import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit


class Asked(NamedTuple):
    """A request as it arrived."""

    path: str
    query: Mapping[str, list[str]]
    headers: Message
    client: object
    body: bytes = b""


Reply = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Upstream:
    """What it was asked, and what it will answer, in order; the last answer is repeated."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    replies: deque[Reply] = field(default_factory=deque)

    def will(self, *replies: Reply) -> None:
        self.replies.extend(replies)

    def next_reply(self) -> Reply:
        return self.replies.popleft() if len(self.replies) > 1 else self.replies[0]


def answer(
    body: bytes = b"[]", status: int = 200, *, length: int | None = None, **headers: str
) -> Reply:
    """Answer at once; ``length`` lies about the body, ``retry_after`` is ``Retry-After``."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        if body:
            handler.wfile.write(body)
        handler.close_connection = length is not None

    return reply


def chunks(*parts: bytes, ends: bool = True) -> Reply:
    """Answer in chunks; without the last one when ``ends`` is false."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for part in parts:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            handler.wfile.flush()
        if ends:
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = not ends

    return reply


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Throw the connection away without an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def silence(handler: BaseHTTPRequestHandler) -> None:
    """Say nothing until the client goes away."""
    handler.connection.recv(1)
    handler.close_connection = True


@contextmanager
def running_upstream() -> Iterator[Upstream]:
    """Yield a server on a free port of this machine."""
    upstream = Upstream()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            upstream.asked.append(
                Asked(parts.path, parse_qs(parts.query), self.headers, self.client_address)
            )
            upstream.next_reply()(self)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            upstream.asked.append(Asked(self.path, {}, self.headers, self.client_address, body))
            upstream.next_reply()(self)

        def log_message(self, *_args: object) -> None:
            """Stay quiet."""

        def finish(self) -> None:
            if not self.connection._closed:
                super().finish()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_args: object) -> None:
            """Expect clients that hang up in the middle; that is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    upstream.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield upstream
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
