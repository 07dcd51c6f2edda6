"""What goes back over the wire, and every shape in which vendors say that something is wrong."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=UTF-8"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call, as far as a vendor looks at it.

    Attributes:
        source: Whose dialect it is in.
        query: The last value of each parameter.
        headers: Lower-case names.
        page: The page asked for, where the endpoint has pages; else 1.
    """

    source: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    page: int = 1


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A reply, and how it is to be spoilt on its way.

    Attributes:
        delay_s: Wait before the first byte.
        drip_s: Spread the body over so many seconds.
        keep: Bytes of the body to send before breaking off, None for all of them.
        reset: Break the connection before the first byte.
    """

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drip_s: float = 0.0
    keep: int | None = None
    reset: bool = False


def text(body: str, *, status: int = 200, media_type: str = JSON) -> Answer:
    """Make an answer of one string."""
    return Answer(body=body.encode(), status=status, headers={"Content-Type": media_type})


def as_json(value: object, *, status: int = 200) -> Answer:
    """Make an answer of anything that JSON can say."""
    return Answer(body=msgspec.json.encode(value), status=status, headers={"Content-Type": JSON})


def etag(body: bytes) -> str:
    """Return the weak ETag of a body, in the form both vendors use."""
    return f'W/"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'


_LIMIT = (
    "You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing "
    "to subscribe to our API plans for higher rate limits."
)
_RANGE = (
    "Your request exceeds the allowed time range. Public API users are limited to querying "
    "historical data within the past 365 days."
)
_PRO_HOST = (
    "If you are using Pro API key, please change your root URL from api.coingecko.com to "
    "pro-api.coingecko.com"
)
_DEMO_HOST = (
    "If you are using Demo API key, please change your root URL from pro-api.coingecko.com to "
    "api.coingecko.com"
)


def html_page(status: int) -> Answer:
    """Make the kind of page a proxy in front of a vendor shows instead of an answer."""
    body = (
        '<!DOCTYPE html>\n<html lang="en-US">\n<head><title>Access denied | proxy</title></head>\n'
        f"<body><h1>Error {status}</h1><p>The request could not be served.</p></body>\n</html>\n"
    )
    return text(body, status=status, media_type=HTML)


def _coded(code: int, message: str, status: int) -> Answer:
    return as_json({"status": {"error_code": code, "error_message": message}}, status=status)


def _nested(code: int, message: str, status: int) -> Answer:
    inner = {"status": {"error_code": code, "error_message": message}}
    return as_json({"error": inner}, status=status)


def _plain(body: str, status: int) -> Answer:
    return text(body, status=status, media_type="text/plain; charset=utf-8")


def error(message: str, status: int) -> Answer:
    """Make the plain shape both vendors share, ``{"error": message}``."""
    return as_json({"error": message}, status=status)


SHAPES: dict[str, Callable[[int], Answer]] = {
    "status_object": lambda status: _coded(status, _LIMIT, status),
    "key_missing": lambda status: _coded(10002, "API Key Missing", status),
    "plan_restricted": lambda status: _coded(
        10005, "This request is limited to paid plans", status
    ),
    "pro_key_on_public_host": lambda status: _coded(10010, _PRO_HOST, status),
    "demo_key_on_pro_host": lambda status: _coded(10011, _DEMO_HOST, status),
    "nested": lambda status: _nested(10012, _RANGE, status),
    "top_level_code": lambda status: as_json(
        {"error_code": 10010, "status": {"error_message": _PRO_HOST}}, status=status
    ),
    "status_int": lambda status: as_json(
        {"status": status, "error": "Internal Server Error"}, status=status
    ),
    "html": html_page,
    "code_1015": lambda status: _plain("error code: 1015", status),
    "throttled": lambda status: _plain("Throttled", status),
    "empty": lambda status: _plain("", status),
    "coin_not_found": lambda status: error("coin not found", status),
    "id_not_found": lambda status: error("id not found", status),
    "missing_parameter": lambda status: error("Missing parameter vs_currency", status),
    "too_many_requests": lambda status: error("Too many requests", status),
    "request_limit": lambda status: error("you have reached maximum request limit", status),
    "plan": lambda status: error(
        "This endpoint is not allowed in this plan. Check plans on coinpaprika.com/api", status
    ),
    "invalid_key": lambda status: error("invalid api key", status),
    "internal": lambda status: error("internal server error", status),
}
"""Every error body by name, from the vendors' documentation and from answers seen in the wild."""

_USUAL = {
    ("coingecko", 400): "pro_key_on_public_host",
    ("coingecko", 401): "key_missing",
    ("coingecko", 403): "html",
    ("coingecko", 404): "coin_not_found",
    ("coingecko", 422): "missing_parameter",
    ("coingecko", 429): "status_object",
    ("coinpaprika", 402): "plan",
    ("coinpaprika", 403): "invalid_key",
    ("coinpaprika", 404): "id_not_found",
    ("coinpaprika", 429): "too_many_requests",
}


def refusal(source: str, status: int, shape: str = "") -> Answer:
    """Make a vendor's error answer.

    Args:
        source: Whose words to use when *shape* is empty.
        status: The HTTP status.
        shape: One of :data:`SHAPES`; empty for the vendor's usual one with this status.
    """
    fallback = {"coingecko": "status_int", "coinpaprika": "internal"}.get(source, "html")
    return SHAPES[shape or _USUAL.get((source, status), fallback)](status)
