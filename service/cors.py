"""Cross-origin requests from browsers: refused by the browser unless an origin is configured."""

from collections.abc import Collection

from flask import Flask, Response, request

_METHODS = "GET, HEAD, POST, DELETE"
_SENT = (
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-API-Key, "
    "X-Request-ID"
)
_READ = (
    "Content-Disposition, ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, "
    "Server-Timing, X-Request-ID"
)
_KEPT_S = "600"


def init_app(app: Flask, origins: Collection[str]) -> None:
    """Let pages of these origins call the API; ``*`` stands for every origin.

    Keys are sent in headers and never by the browser itself, so credentials are not allowed, and
    an answer to a foreign page holds nothing that its author could not fetch.
    """
    if origins:
        app.after_request(lambda response: _allow(response, origins))


def _allow(response: Response, origins: Collection[str]) -> Response:
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin is None or not {"*", origin} & set(origins):
        return response
    response.headers["Access-Control-Allow-Origin"] = "*" if "*" in origins else origin
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = _METHODS
        response.headers["Access-Control-Allow-Headers"] = _SENT
        response.headers["Access-Control-Max-Age"] = _KEPT_S
    else:
        response.headers["Access-Control-Expose-Headers"] = _READ
    return response
