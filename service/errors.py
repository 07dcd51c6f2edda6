"""Errors on the wire: RFC 9457 problem details, and the one table from exception to status."""

from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, request
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from service import encoding
from tasks.core.errors import (
    CallerError,
    ConflictError,
    InvalidInputError,
    KasparroError,
    NotFoundError,
    TransientError,
)
from tasks.core.logging import get_logger

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
_log = get_logger(__name__)

STATUS_OF: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (ConflictError, HTTPStatus.CONFLICT),
    (InvalidInputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (CallerError, HTTPStatus.BAD_REQUEST),
    (TransientError, HTTPStatus.SERVICE_UNAVAILABLE),
    (KasparroError, HTTPStatus.INTERNAL_SERVER_ERROR),
)
"""First match wins."""

# SQLSTATE classes of a server that is away, overloaded, shutting down, or chose us as a victim.
_PASSING_SQLSTATES = {"08", "40", "53", "55", "57"}

_NAMES = {"_schema": "body"}
"""marshmallow's word for the whole of what was sent, which is no field → ours."""

_SENTENCES = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong here; the log knows the request id.",
    HTTPStatus.SERVICE_UNAVAILABLE: "A server kasparro needs did not answer; try again shortly.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The request has values that are not valid.",
}


def problem(
    status: int,
    *,
    detail: str = "",
    errors: dict[str, list[str]] | None = None,
    headers: Any = None,
    **extra: Any,
) -> Response:
    """Return a problem response.

    Args:
        status: HTTP status; names the problem's type and title.
        detail: A sentence for a person; a standing one for the status if empty.
        errors: Messages by field.
        headers: Further response headers.
        extra: Further members; must not shadow those of RFC 9457.
    """
    body = body_of(
        status, detail=detail, instance=request.path, request_id=g.get("request_id"), errors=errors
    )
    response = Response(encoding.encode(body | extra), status=status, content_type=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    for name, value in headers or ():
        response.headers[name] = value
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers.setdefault("Retry-After", str(RETRY_AFTER_S))
    return response


def body_of(
    status: int,
    *,
    detail: str = "",
    instance: str = "",
    request_id: str | None = None,
    errors: dict[str, list[str]] | None = None,
) -> dict[str, Any]:
    """Return a problem's members; the arguments are those of :func:`problem`."""
    known = HTTPStatus(status)
    detail = detail or _SENTENCES.get(known, known.description or known.phrase)
    return {
        "type": f"urn:kasparro:problem:{known.phrase.lower().replace(' ', '-')}",
        "title": known.phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        "request_id": request_id,
        "code": status,
        "message": detail,
        "errors": errors or {},
    }


def init_app(app: Flask) -> None:
    """Register a handler for each kind of exception that may leave a view."""
    app.register_error_handler(HTTPException, from_http)
    app.register_error_handler(KasparroError, from_kasparro)
    app.register_error_handler(DBAPIError, _from_database)
    app.register_error_handler(PoolTimeoutError, _from_outage)
    app.register_error_handler(RedisError, _from_outage)


def from_http(error: HTTPException) -> BaseResponse:
    """Translate an HTTP exception, keeping ``Allow``, ``Retry-After`` and ``WWW-Authenticate``."""
    if error.code is None or error.response is not None:
        return error.get_response()  # a redirect, or a response raised as it is
    if error.code == HTTPStatus.INTERNAL_SERVER_ERROR:
        return problem(error.code)  # Flask has logged what caused it
    data: dict[str, Any] = getattr(error, "data", None) or {}
    messages = data.get("errors") or data.get("messages") or {}
    fields = _by_field(messages)
    return problem(
        error.code,
        detail=data.get("message") or _sentence(fields) or _own_words(error),
        errors=fields,
        headers=[*_kept(error), *dict(data.get("headers") or {}).items()],
    )


def from_kasparro(error: KasparroError) -> Response:
    """Translate one of our own errors by :data:`STATUS_OF`; what is our fault is not told."""
    status = next(status for kind, status in STATUS_OF if isinstance(error, kind))
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request_failed", exc_info=error)
        return problem(status)
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        _log.warning("dependency_unavailable", reason=str(error))
        return problem(status)
    field = error.context.get("field")
    extra = {k: v for k, v in error.context.items() if k in {"active_run_id", "source", "run_id"}}
    return problem(
        status, detail=str(error), errors={field: [str(error)]} if field else None, **extra
    )


def _from_database(error: DBAPIError) -> Response:
    state = getattr(error.orig, "pgcode", None)
    if error.connection_invalidated or state is None or state[:2] in _PASSING_SQLSTATES:
        return _from_outage(error)
    _log.error("request_failed", exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR)


def _from_outage(error: Exception) -> Response:
    _log.warning("dependency_unavailable", reason=type(getattr(error, "orig", error)).__name__)
    return problem(HTTPStatus.SERVICE_UNAVAILABLE)


def _by_field(messages: Any) -> dict[str, list[str]]:
    """Flatten webargs' ``{location: {field: messages}}`` to ``{field: messages}``."""
    flat: dict[str, list[str]] = {}
    if isinstance(messages, dict):
        for location, fields in messages.items():
            if isinstance(fields, dict):
                for name, found in fields.items():
                    flat |= _named(_NAMES.get(name, str(name)), found)
            else:
                flat[_NAMES.get(location, str(location))] = _sentences(fields)
    return flat


def _named(name: str, found: Any) -> dict[str, list[str]]:
    """Name a member of a member ``outer.inner``."""
    if not isinstance(found, dict) or any(isinstance(inner, int) for inner in found):
        return {name: _sentences(found)}
    flat: dict[str, list[str]] = {}
    for inner, messages in found.items():
        flat |= _named(name if inner == "_schema" else f"{name}.{inner}", messages)
    return flat


def _sentences(found: Any) -> list[str]:
    if isinstance(found, dict):  # messages by position in a list
        return [text for inner in found.values() for text in _sentences(inner)]
    return [str(text) for text in found] if isinstance(found, list) else [str(found)]


def _sentence(fields: dict[str, list[str]]) -> str:
    return " ".join(f"{name}: {' '.join(found)}" for name, found in fields.items())


def _own_words(error: HTTPException) -> str:
    """Return the description a raiser of ours gave; werkzeug's standing ones speak of browsers."""
    return error.description or "" if "description" in vars(error) else ""


def _kept(error: HTTPException) -> list[tuple[str, str]]:
    return [(name, value) for name, value in error.get_headers() if name != "Content-Type"]
