"""Our Api and Blueprint: what every endpoint has without saying so.

Where flask-smorest 0.47 would answer differently from the contract, it is mended here: problem
details with the exception's own headers, unknown query parameters refused, a wrong content type
named, weak entity tags compared, and a scope that every operation must declare.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import flask_smorest
from flask import Flask, Response, current_app, g, request, stream_with_context
from marshmallow import RAISE
from sqlalchemy import Connection
from sqlalchemy.orm import Session
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import TooManyRequests, UnsupportedMediaType

from service import auth, encoding, errors, formats, pagination
from service.conditional import CachedBody, ResponseCache, etag_of, is_current
from service.observability import broker
from service.observability.requests import latency_ms, request_id
from service.pagination import PageRequest
from service.queries import versions
from service.queries.listing import Listing, ListingPage
from service.rate_limits import RedisRateLimiter, Verdict
from service.schemas.base import Arguments, Exact, Moment, Problem, Word
from tasks.core.errors import InvalidInputError
from tasks.pipeline.dependencies import Dependencies
from tasks.store.tables import AuditEntry

TRIGGER_ENDPOINTS = {"etl.trigger", "etl.trigger_alias"}
_KEY_SCHEMES = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
}
_REVALIDATE = "no-cache"


class Delivery:
    """What requests share in this process.

    Attributes:
        dependencies: Of the engine.
        front_page: Makes what a browser gets at ``/``.
        limiter: Counts calls.
        cache: The newest bodies.
        redis: For a look at the broker, with short time-outs.
    """

    def __init__(self, dependencies: Dependencies, front_page: Callable[[], Response]) -> None:
        self.dependencies = dependencies
        self.front_page = front_page
        self.limiter = RedisRateLimiter(dependencies.settings.redis_url, dependencies.clock)
        self.cache = ResponseCache(dependencies.clock)
        self.redis = broker.connect(dependencies.settings.redis_url)


def delivery() -> Delivery:
    """Return what this app's requests share."""
    shared: Delivery = current_app.extensions["kasparro"]
    return shared


def dependencies() -> Dependencies:
    """Return the engine's parts."""
    return delivery().dependencies


@contextmanager
def reading() -> Iterator[Connection]:
    """Open a connection for SELECTs, each its own transaction: no BEGIN and COMMIT on the way."""
    engine = dependencies().engine
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


@contextmanager
def writing() -> Iterator[Session]:
    """Open the transaction of one write."""
    with dependencies().transaction() as session:
        yield session


def admit(scope: str) -> None:
    """Let the caller of this request in, or say why not.

    Raises:
        Unauthorized: No key where one is needed, or one that is not good.
        Forbidden: The key lacks the scope.
        TooManyRequests: The caller's limit is used up.
    """
    settings = dependencies().settings
    try:
        caller = _caller()
    except auth.BadKeyError as error:
        _count(f"bad-key:{request.remote_addr}", settings.api_rate_per_minute)
        raise auth.unauthorized(str(error)) from error
    g.actor, g.caller = caller.actor, caller
    is_anonymous = caller.actor == "anonymous"
    counted = f"address:{request.remote_addr}" if is_anonymous else caller.actor
    _count(counted, caller.rate_per_minute or settings.api_rate_per_minute)
    auth.authorise(caller, scope, api_auth=settings.api_auth)


def _caller() -> auth.Caller:
    settings = dependencies().settings
    is_trigger = request.endpoint in TRIGGER_ENDPOINTS
    if is_trigger and auth.is_scheduler(request, settings.scheduler_token):
        return auth.Caller(actor="scheduler", scopes=frozenset({"run"}))
    presented = auth.presented_key(request, trigger=is_trigger)
    if presented is None:
        return auth.anonymous(settings.api_auth)
    with writing() as session:
        caller = auth.verify(session, presented)
        if caller is not None:
            auth.note_use(session, caller.actor)
    if caller is None:
        raise auth.BadKeyError
    return caller


def _count(counted: str, per_minute: int) -> None:
    verdict = delivery().limiter.hit(counted, per_minute)
    if verdict is None:
        return
    g.rate_limit = verdict
    if not verdict.allowed:
        raise TooManyRequests(
            f"More than {per_minute} requests in a minute.", retry_after=verdict.reset_s
        )


def add_rate_limit_headers(response: Response) -> Response:
    """Tell the caller what is left of the limit."""
    verdict: Verdict | None = g.get("rate_limit")
    if verdict is not None:
        response.headers.update(verdict.headers())
    return response


class NoArguments(Arguments):
    """Nothing may be said in the query."""


class Parser(FlaskParser):
    """Reads arguments: what is not known is refused, a body must say it is JSON."""

    DEFAULT_UNKNOWN_BY_LOCATION = {  # noqa: RUF012 - webargs declares it
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": RAISE,
        "json": RAISE,
    }

    def load_json(self, req: Any, schema: Any) -> Any:
        """Return the body's JSON; no body at all is an empty object.

        Raises:
            UnsupportedMediaType: If there is a body that does not call itself JSON.
        """
        if not req.get_data(cache=True):
            return {}
        if not req.is_json:
            raise UnsupportedMediaType("Send the body as application/json.")
        return super().load_json(req, schema)


class Api(flask_smorest.Api):  # type: ignore[misc] # flask-smorest ships no types
    """The API with our error body and our security schemes in its document."""

    ERROR_SCHEMA = Problem

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self.register_field(Exact, "number", None)
        self.register_field(Moment, "string", "date-time")
        self.register_field(Word, "string", None)
        self.init_app(app)
        for name, scheme in _KEY_SCHEMES.items():
            self.spec.components.security_scheme(name, scheme)

    def _register_error_handlers(self) -> None:
        errors.init_app(self._app)

    def _register_responses(self) -> None:
        for status in (*HTTPStatus, None):
            name = status.name if status else "DEFAULT_ERROR"
            response: dict[str, Any] = {"description": status.phrase if status else "Any error."}
            if status is None or status >= HTTPStatus.BAD_REQUEST:
                response["content"] = {errors.MEDIA_TYPE: {"schema": Problem}}
            self.spec.components.response(name, response, lazy=True)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A group of endpoints that declare who may call them and how they are cached."""

    ARGUMENTS_PARSER = Parser()

    def requires(self, scope: str) -> Callable[[Any], Any]:
        """Let only callers with this scope in, and say so in the document."""
        return _guarded(scope, [{name: [scope]} for name in _KEY_SCHEMES])

    def public(self) -> Callable[[Any], Any]:
        """Let everybody in, whatever ``API_AUTH`` says, without asking any other server."""
        return _guarded(None, [])

    def conditional(self, *topics: str) -> Callable[[Any], Any]:
        """Answer 304, or from the cache, before the arguments are even read.

        The tag is made of the versions of these topics of the data.
        """

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(view)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with reading() as connection:
                    g.etag = etag_of(request, versions.current(connection, topics))
                if is_current(request, g.etag):
                    return _marked(Response(status=HTTPStatus.NOT_MODIFIED))
                cached = delivery().cache.get(g.etag)
                if cached is not None:
                    return _finished(cached)
                return _marked(current_app.make_response(view(*args, **kwargs)))

            _document(wrapper, responses={"304": {"description": "You have this version already."}})
            return wrapper

        return decorate


def _guarded(scope: str | None, security: list[dict[str, list[str]]]) -> Callable[[Any], Any]:
    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if scope is not None:
                admit(scope)
            return view(*args, **kwargs)

        wrapper.scope = scope or "public"  # type: ignore[attr-defined] # read by the tests
        _document(wrapper, security=security)
        return wrapper

    return decorate


def _document(view: Any, **facts: Any) -> None:
    manual = getattr(view, "_apidoc", {}).get("manual_doc", {})
    view._apidoc = {**getattr(view, "_apidoc", {}), "manual_doc": {**manual, **facts}}  # noqa: SLF001


def _marked(response: Response) -> Response:
    if response.status_code in {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED}:
        response.set_etag(g.etag)
        response.headers["Cache-Control"] = _REVALIDATE
        response.vary.update(("Accept", "Authorization", "X-API-Key"))
    return response


def answer_list(
    listing: Listing, query: Mapping[str, Any], filters: Mapping[str, Any], *, stem: str
) -> Response:
    """Return a list in the envelope of ``/data``, or as a file in another format.

    Args:
        listing: What is listed.
        query: The loaded arguments, with ``paging``.
        filters: Those of them that a cursor is bound to, beside ``sort``.
        stem: What the list is called.
    """
    form = formats.wanted(request)
    if form != "json":
        return export_list(form, listing, query, stem)
    bound_to = pagination.fingerprint(f"{stem} {query.get('sort', '')}", filters)
    page, facts = read_page(listing, query["paging"], bound_to)
    return send_list(_head(page.bodies, facts), facts)


def _head(bodies: Sequence[str], facts: Mapping[str, Any]) -> bytes:
    total = "null" if facts["total"] is None else facts["total"]
    text = (
        f'{{"data":[{",".join(bodies)}],"total":{total},'
        f'"page":{facts["page"]},"page_size":{facts["page_size"]},'
    )
    return text.encode()


def read_page(
    listing: Listing, paging: PageRequest, bound_to: str
) -> tuple[ListingPage, dict[str, Any]]:
    """Read the part of a list that is asked for.

    Returns:
        The rows, and the ``pagination`` member.

    Raises:
        InvalidInputError: If the cursor is not of this list.
    """
    after = pagination.decode_cursor(paging.cursor, bound_to) if paging.cursor else None
    with reading() as connection:
        page = listing.page(connection, limit=paging.limit, offset=paging.offset, after=after)
        total = listing.total(connection, paging.count)
    cursor = pagination.encode_cursor(page.last, bound_to) if page.last else None
    return page, pagination.facts(
        paging, returned=len(page.bodies), total=total, next_cursor=cursor
    )


def export_list(name: str, listing: Listing, query: Mapping[str, Any], stem: str) -> Response:
    """Return a list as a file: all of it unless ``limit`` was given.

    Raises:
        InvalidInputError: If a cursor was given.
    """
    paging: PageRequest = query["paging"]
    if paging.cursor is not None:
        raise InvalidInputError("An export is not walked by cursor.", field="cursor")
    limit = paging.limit if query["has_limit"] else None
    return send_export(
        name,
        listing.kinds(),
        lambda connection: listing.stream(connection, limit=limit, offset=paging.offset),
        stem,
    )


def audit(session: Session, action: str, subject: str, detail: Mapping[str, Any]) -> None:
    """Record who did what to what, in the transaction that does it."""
    session.add(
        AuditEntry(
            actor=g.actor,
            action=action,
            subject=subject,
            request_id=request_id(),
            detail=dict(detail),
        )
    )


def send(body: Any, status: int = HTTPStatus.OK, **headers: str) -> Response:
    """Return JSON that no cache may keep.

    Args:
        body: What to write.
        status: HTTP status.
        headers: Further headers.
    """
    response = Response(encoding.encode(body), status=status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(headers)
    return response


def link_next(response: Response, cursor: str | None) -> None:
    """Add the ``Link`` to the next page, if there is one."""
    if cursor:
        response.headers["Link"] = f'<{request.path}?{_next_query(cursor)}>; rel="next"'


def send_list(head: bytes, facts: Mapping[str, Any]) -> Response:
    """Return a list's answer, and keep all of it that is not about this request.

    Args:
        head: The body's bytes up to, not including, ``request_id``; ends with a comma.
        facts: The ``pagination`` member.
    """
    cursor = facts["next_cursor"]
    body = CachedBody(head, encoding.encode(facts), _next_query(cursor) if cursor else "")
    delivery().cache.put(g.etag, body)
    return _finished(body)


def _finished(body: CachedBody) -> Response:
    about = encoding.encode(about_request())
    whole = b"".join(
        (body.head, about[1:-1], b',"pagination":', body.tail, b',"meta":', about, b"}")
    )
    response = Response(whole, mimetype="application/json")
    if body.next_link:
        response.headers["Link"] = f'<{request.path}?{body.next_link}>; rel="next"'
    return _marked(response)


def _next_query(cursor: str) -> str:
    kept = [
        (k, v) for k, v in request.args.items(multi=True) if k not in {"cursor", "page", "offset"}
    ]
    return urlencode([*kept, ("cursor", cursor)])


def send_export(
    name: str, columns: Mapping[str, str], rows: Callable[[Connection], Iterator[Any]], stem: str
) -> Response:
    """Return a whole list as a file, streamed from a cursor of its own.

    Args:
        name: ``csv`` | ``ndjson`` | ``parquet``.
        columns: Names and kinds, as :func:`service.formats.write` takes them.
        rows: Gives the rows on a connection that is open as long as the answer is read.
        stem: The file's name without its ending.
    """
    engine = dependencies().engine

    def produce() -> Iterator[bytes]:
        with engine.connect() as connection, connection.begin():
            yield from formats.write(name, columns, rows(connection))

    if name == "parquet":
        formats.require_parquet()
    media_type = formats.MEDIA_TYPES[name] + ("; charset=utf-8" if name == "csv" else "")
    response = Response(stream_with_context(produce()), content_type=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{stem}.{name}"'
    return response


def about_request() -> dict[str, Any]:
    """Return the members that tell which request this was and how long it took."""
    return {"request_id": request_id(), "api_latency_ms": latency_ms(dependencies().clock)}
