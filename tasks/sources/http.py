"""The network, made safe: a deadline, a size limit, short retries, and the gate before every call.

One client serves one source. Whatever goes wrong comes out as one of our errors, and no error or
log record of this module holds a query, a header's value or a key.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter

from tasks.core import tracing
from tasks.core.clock import Clock
from tasks.core.errors import (
    KasparroError,
    PermanentError,
    RateLimitedError,
    TransientError,
    UnavailableError,
)
from tasks.core.logging import get_logger
from tasks.sources import answers, bodies
from tasks.sources.base import Content, Judge, Response
from tasks.sources.calls import Call, keys, shown
from tasks.sources.gates import Gate

MAX_ATTEMPTS = 3
MAX_REDIRECTS = 3
NO_ANSWER = 0
"""The status ``observe`` is told when there was none."""

_CHUNK_BYTES = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TROUBLES: tuple[tuple[type[Exception], str], ...] = (
    (requests.exceptions.SSLError, "has a certificate that cannot be trusted"),
    (requests.Timeout, "did not answer in time"),
    (urllib3.exceptions.TimeoutError, "fell silent in the middle of its answer"),
    (urllib3.exceptions.DecodeError, "sent a body that cannot be decompressed"),
    (urllib3.exceptions.HTTPError, "broke off its answer"),
    (requests.ConnectionError, "could not be reached"),
    (Exception, "could not be asked"),
)

logger = get_logger(__name__)

Observe = Callable[[str, int, float], None]
"""Told of every call: the source, the status (:data:`NO_ANSWER` for none), the seconds it took."""


@dataclass(frozen=True, kw_only=True)
class HttpLimits:
    """How long and how much.

    Attributes:
        deadline_s: One :meth:`RequestsHttpClient.get` with its retries and redirects.
        connect_s: Making one connection.
        silence_s: Silence within one answer.
        body_bytes: A body after decompression; the default is forty times CoinPaprika's largest.
        memory_bytes: A larger body rests in a temporary file.
    """

    deadline_s: float = 20.0
    connect_s: float = 3.0
    silence_s: float = 10.0
    body_bytes: int = 128 * 1024 * 1024
    memory_bytes: int = 8 * 1024 * 1024


class RequestsHttpClient:
    """The :class:`tasks.sources.base.HttpClient` of one source, over a pool of connections.

    It belongs to one process: make it after a fork, not before.

    Args:
        source: The source's name, for logs and metrics.
        clock: Time for deadlines, waits and dates.
        gate: Asked before every single call, a retry and a redirect included.
        limits: How long and how much.
        observe: Told of every single call.
    """

    def __init__(
        self,
        source: str,
        clock: Clock,
        *,
        gate: Gate,
        limits: HttpLimits,
        observe: Observe = lambda _source, _status, _seconds: None,
    ) -> None:
        self._source = source
        self._clock = clock
        self._gate = gate
        self._limits = limits
        self._observe = observe
        self._session = _new_session()
        # Calls go to the adapter itself. A session would read the whole body of a redirect,
        # however long, parse where it leads, and keep cookies.
        self._adapter = HTTPAdapter(pool_connections=4, pool_maxsize=4, max_retries=0)

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        judge: Judge | None = None,
    ) -> Response:
        """Ask for a page; see :meth:`tasks.sources.base.HttpClient.get`."""
        call = Call(
            url=url,
            params=params or {},
            headers={name.lower(): text for name, text in (headers or {}).items() if text},
            ends_at=self._clock.monotonic() + self._limits.deadline_s,
        )
        try:
            return self._retrying(call.ends_at)(self._attempt, call, judge)
        except KasparroError as exc:
            logger.warning("upstream_call_given_up", url=shown(url), **self._facts(exc))
            raise

    def close(self) -> None:
        """Give back all connections."""
        self._adapter.close()

    def _retrying(self, ends_at: float) -> Retrying:
        def is_over(state: RetryCallState) -> bool:
            resumes_at = self._clock.monotonic() + state.upcoming_sleep
            return state.attempt_number >= MAX_ATTEMPTS or resumes_at >= ends_at

        return Retrying(
            retry=retry_if_exception(_may_pass_soon),
            wait=wait_exponential_jitter(multiplier=0.5, max=4, jitter=0.5),
            stop=is_over,
            sleep=self._clock.sleep,
            before_sleep=self._log_retry,
            reraise=True,
        )

    def _log_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        logger.info(
            "upstream_call_retried",
            attempt=state.attempt_number,
            wait_s=round(state.upcoming_sleep, 3),
            **self._facts(error),
        )

    def _facts(self, error: BaseException | None) -> dict[str, str]:
        return {"source": self._source, "error": type(error).__name__, "reason": str(error)}

    def _attempt(self, call: Call, judge: Judge | None) -> Response:
        headers = call.headers
        for _ in range(MAX_REDIRECTS + 1):
            response = self._traced(call)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                return self._judged(response, judge, headers)
            self._gate.succeeded()
            call = call.redirected(location)
            logger.info("upstream_redirected", source=self._source, url=shown(call.url))
        raise PermanentError(f"{self._source} redirects more than {MAX_REDIRECTS} times")

    def _traced(self, call: Call) -> Response:
        facts = {"http.request.method": "GET", "url.full": shown(call.url)}
        with tracing.span(f"GET {self._source}", facts, kind="client"):
            response = self._exchanged(call)
            tracing.note({"http.response.status_code": response.status})
            return response

    def _exchanged(self, call: Call) -> Response:
        request = self._prepared(call)
        self._gate.enter()
        started_at, status = self._clock.monotonic(), NO_ANSWER
        try:
            left_s = max(0.001, call.ends_at - started_at)
            with self._adapter.send(
                request,
                stream=True,
                timeout=(min(self._limits.connect_s, left_s), min(self._limits.silence_s, left_s)),
            ) as answer:
                status = answer.status_code
                content = self._content(answer, call.ends_at)
                kept = {name.lower(): text for name, text in answer.headers.items()}
                return Response(url=shown(call.url), status=status, headers=kept, content=content)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            self._gate.failed()
            words = next(words for kind, words in _TROUBLES if isinstance(exc, kind))
            raise TransientError(f"{self._source} {words}", source=self._source) from exc
        finally:
            self._observe(self._source, status, self._clock.monotonic() - started_at)

    def _prepared(self, call: Call) -> requests.PreparedRequest:
        for name, text in call.headers.items():
            if not (text.isascii() and text.isprintable()) or text != text.strip():
                raise PermanentError(f"The value of the header {name} has characters HTTP forbids")
        request = requests.Request("GET", call.url, params=call.params, headers=dict(call.headers))
        try:
            prepared = self._session.prepare_request(request)
            self._session.get_adapter(prepared.url or "")  # raises for a scheme it does not know
        except (requests.RequestException, ValueError):
            # The error names the whole address, and that may hold what must not be shown.
            raise PermanentError(f"{shown(call.url)} is not an address of the web") from None
        return prepared

    def _content(self, answer: requests.Response, ends_at: float) -> Content:
        try:
            return bodies.keep(
                self._pieces(answer, ends_at),
                source=self._source,
                most=self._limits.body_bytes,
                in_memory=self._limits.memory_bytes,
            )
        except KasparroError:  # the source has answered; what is wrong is its size, or our room
            self._gate.succeeded()
            raise

    def _pieces(self, answer: requests.Response, ends_at: float) -> Iterator[bytes]:
        # One read of the socket at a time: whoever drips a byte now and then meets the deadline,
        # and a small answer that swells when decompressed meets the size limit.
        while piece := answer.raw.read1(_CHUNK_BYTES, decode_content=True):
            yield piece
            if self._clock.monotonic() > ends_at:
                raise requests.Timeout

    def _judged(
        self, response: Response, judge: Judge | None, headers: Mapping[str, str]
    ) -> Response:
        error = (judge(response) if judge else None) or answers.error_of(self._source, response)
        if error is None:
            self._gate.succeeded()
            return response
        message = answers.without(keys(headers), str(error))
        facts = {"source": self._source, "status": response.status}
        wait_s = answers.wait_s(error, response, self._clock.now())
        if isinstance(error, TransientError) and wait_s is None:
            self._gate.failed()
        else:
            self._gate.succeeded()
        if wait_s is not None:
            self._gate.freeze(wait_s)
            raise RateLimitedError(message, retry_after_s=wait_s, **facts)
        raise type(error)(message, **facts)


def _may_pass_soon(error: BaseException) -> bool:
    # Waiting for the budget, the circuit or Redis is a matter of more than the seconds we have.
    is_long = isinstance(error, (RateLimitedError, UnavailableError))
    return isinstance(error, TransientError) and not is_long


def _new_session() -> requests.Session:
    session = requests.Session()
    # Proxies and .netrc passwords of whoever started the worker are none of its settings.
    session.trust_env = False
    session.headers["User-Agent"] = f"kasparro/{_version()} (market data collector)"
    session.headers["Accept-Encoding"] = "gzip, deflate"
    return session


def _version() -> str:
    try:
        return metadata.version("kasparro")
    except metadata.PackageNotFoundError:
        return "dev"
