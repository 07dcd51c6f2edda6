"""The front door: what was answered before is answered again before Flask is asked.

Flask and what hangs on it take several times what such an answer needs. What each answer has beside
its body is here, too: the version of the data is read from PostgreSQL for each, the call is
counted, logged and measured. While the data is the same, the answer is; of other data a list is
made anew, as Flask's view said. What is to be refused, or noted, is left to Flask, and so are
pages of other origins.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from service import auth, encoding, formats
from service.compression import MIN_BYTES, reads_gzip
from service.conditional import KEPT, Address, Body, Kept, address_of, is_current
from service.observability.http_metrics import Measure
from service.observability.requests import arrive, begin, log_answer, timing
from service.rate_limits import Verdict
from service.rest.admission import counted_as
from service.rest.shared import Delivery
from tasks.core.errors import KasparroError

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
_NOT_FOR_US = ("HTTP_AUTHORIZATION", "HTTP_ORIGIN")
_NOT_LASTING = {
    "x-request-id",
    "server-timing",
    "ratelimit",
    "ratelimit-policy",
    "etag",
    "content-length",
    "content-encoding",
    "content-type",
    "content-disposition",
    "link",
}
_OUTAGES = (DBAPIError, PoolTimeoutError, KasparroError)


class _Known(NamedTuple):
    """An answer that may be given, and what was found out on the way."""

    kept: Kept
    caller: auth.Caller
    verdict: Verdict | None
    began_s: float


class FrontDoor:
    """A WSGI app before another: knows what that has answered at this version of the data.

    Args:
        app: Answers everything else.
        delivery: Has what was answered.
        measure: Counts and times an answer.
    """

    def __init__(self, app: Callable[..., Any], delivery: Delivery, measure: Measure) -> None:
        self._app = app
        self._delivery = delivery
        self._clock = delivery.dependencies.clock
        self._measure = measure
        settings = delivery.dependencies.settings
        self._anonymous = auth.anonymous(settings.api_auth)
        self._per_minute = settings.api_rate_per_minute

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer, or let the other do it."""
        try:
            known = self._known(environ)
        except _OUTAGES:  # Flask tries again, and says what is wrong
            known = None
        if known is not None:
            return self._answer(known, environ, start_response)
        answer: Iterable[bytes] = self._app(environ, partial(self._note, environ, start_response))
        return answer

    def _note(
        self,
        environ: Environ,
        start_response: Callable[..., Any],
        status: str,
        headers: Headers,
        *further: Any,
    ) -> Any:
        """Keep what the other says may be kept, with the headers it gave in the end."""
        kept: Kept | None = environ.pop(KEPT, None)
        if kept is not None and "HTTP_ORIGIN" not in environ and status.startswith("200"):
            lasting = tuple(pair for pair in headers if pair[0].lower() not in _NOT_LASTING)
            address, kept = address_of(environ), replace(kept, headers=lasting)
            self._delivery.cache.put(address, kept)
            if kept.make is not None:
                self._delivery.cache.put(_kind_of(address), replace(kept, version="", body=None))
        return start_response(status, headers, *further)

    def _known(self, environ: Environ) -> _Known | None:
        """Return an answer that is good now, for a caller who may have it."""
        began_s = self._clock.monotonic()
        kept = self._kept(environ)
        if kept is None:
            return None
        arrive()
        version = self._delivery.versions.current(kept.topics)
        caller = self._caller(environ)
        may_have = caller is not None and kept.scope in caller.scopes | self._anonymous.scopes
        if caller is None or not may_have or (version != kept.version and kept.make is None):
            return None
        counted = counted_as(caller, environ.get("REMOTE_ADDR"))
        verdict = self._delivery.limiter.hit(counted, caller.rate_per_minute or self._per_minute)
        if verdict is not None and not verdict.allowed:  # a call that is refused is not counted
            return None
        if version != kept.version:
            kept = self._made(kept, version, environ)
        return _Known(kept, caller, verdict, began_s)

    def _made(self, kept: Kept, version: str, environ: Environ) -> Kept:
        """Return the answer at this version: made if the client does not have it, and kept."""
        address = address_of(environ)
        fresh = kept.of(version, address)
        if kept.make is None or is_current(environ.get("HTTP_IF_NONE_MATCH", ""), fresh.etag):
            return fresh
        fresh = replace(fresh, body=kept.make(version))
        self._delivery.cache.put(address, fresh)
        return fresh

    def _caller(self, environ: Environ) -> auth.Caller | None:
        """Return who calls; None if the key is not good, or its use is to be noted."""
        presented = environ.get("HTTP_X_API_KEY")
        if presented is None:
            return self._anonymous
        caller = auth.verify(self._delivery.find_key, presented)
        return caller if caller is not None and caller.is_noted else None

    def _kept(self, environ: Environ) -> Kept | None:
        """Return what is kept of the answer, if that is enough to give it."""
        if environ["REQUEST_METHOD"] != "GET" or any(name in environ for name in _NOT_FOR_US):
            return None
        address, cache = address_of(environ), self._delivery.cache
        kept = cache.get(address) or cache.get(_kind_of(address))
        is_enough = kept is not None and (kept.body or kept.make or _has(kept, environ))
        return kept if is_enough else None

    def _answer(
        self, known: _Known, environ: Environ, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        kept, path = known.kept, environ["PATH_INFO"]
        number = begin(environ.get("HTTP_X_REQUEST_ID", ""))
        status, body, headers = _content(kept, environ, number, self._took_ms(known))
        took_ms = self._took_ms(known)
        headers += (("X-Request-ID", number), ("Server-Timing", timing(took_ms)))
        if known.verdict is not None:
            headers += known.verdict.headers().items()
        log_answer(
            path,
            method="GET",
            status=int(status[:3]),
            duration_ms=took_ms,
            bytes=len(body),
            actor=known.caller.actor,
            remote=environ.get("REMOTE_ADDR"),
        )
        self._measure(kept.rule, "GET", int(status[:3]), took_ms / 1000)
        start_response(status, headers)
        return (body,)

    def _took_ms(self, known: _Known) -> float:
        return round((self._clock.monotonic() - known.began_s) * 1000, 3)


def _kind_of(address: Address) -> Address:
    """Return the address of all that differ only in how ``Accept`` says what it likes best."""
    path, query, accept = address
    return "kind", path, query, formats.accepted(accept) or accept


def _has(kept: Kept, environ: Environ) -> bool:
    known = environ.get("HTTP_IF_NONE_MATCH", "")
    return known.strip() == "*" or is_current(known, kept.etag)  # what is kept is there


def _content(
    kept: Kept, environ: Environ, number: str, took_ms: float
) -> tuple[str, bytes, Headers]:
    """Return the status line, the body, and the headers that are about the body."""
    if kept.body is None or _has(kept, environ):
        return "304 NOT MODIFIED", b"", [*kept.headers, ("ETag", f'"{kept.etag}"')]
    about = encoding.encode({"request_id": number, "api_latency_ms": took_ms})
    body, coding = _coded(kept.body, kept.body.rest(about), environ)
    headers = [
        *kept.headers,
        ("Content-Type", kept.body.content_type),
        *kept.body.headers,
        ("Content-Length", str(len(body))),
    ]
    if coding:
        headers.append(("Content-Encoding", coding))
    headers.append(("ETag", f'"{kept.etag}-{coding}"' if coding else f'"{kept.etag}"'))
    return "200 OK", body, headers


def _coded(body: Body, rest: bytes, environ: Environ) -> tuple[bytes, str]:
    """Return the body, as gzip if that is worth it and can be read, and its coding."""
    is_long = len(body.head) + len(rest) >= MIN_BYTES
    if is_long and reads_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
        return body.packed.finish(rest), "gzip"
    return body.head + rest, ""
