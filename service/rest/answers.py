"""What goes back: single bodies, lists in the envelope, files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus, urlencode

from flask import Response, g, request
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from service import encoding, formats, pagination
from service.compression import add_vary
from service.conditional import KEPT, Body, Kept
from service.observability.http_metrics import url_rule
from service.observability.requests import latency_ms, request_id
from service.pagination import PageRequest
from service.queries import walking
from service.queries.listing import Listing, ListingPage
from service.rest.shared import Delivery, delivery, dependencies, lasting
from service.walks import MAX_ROWS
from tasks.core import tracing
from tasks.core.errors import InvalidInputError
from tasks.store.audit import Actor
from tasks.store.tables import AuditEntry

_REVALIDATE = "no-cache"


def about_request() -> dict[str, Any]:
    """Return the members that tell which request this was and how long it took."""
    return {"request_id": request_id(), "api_latency_ms": latency_ms(dependencies().clock)}


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


def actor() -> Actor:
    """Return who calls, as the engine's use cases write it down."""
    return Actor(g.actor, request_id())


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
    is_lasting = "as_of" not in filters  # a moment is refused one day
    if form != "json":
        return export_list(form, listing, query, stem, is_lasting=is_lasting)
    bound_to = pagination.fingerprint(f"{stem} {query.get('sort', '')}", filters)
    page = partial(_page, delivery(), paging=query["paging"], bound_to=bound_to, link=_link_to())
    return _made(page, listing, is_lasting=is_lasting)


def _made(
    body_of: Callable[[Listing, str], Body], listing: Listing, *, is_lasting: bool
) -> Response:
    """Return what is made of a list and, if the list stays the same one, let the door do it again.

    Who traces wants to see what each request does; the door would not show it.
    """
    g.body = body_of(listing, g.version)
    if is_lasting and not tracing.is_on():
        g.make = partial(body_of, listing.lasting())
    return finished(g.body)


def _page(
    shared: Delivery,
    listing: Listing,
    version: str,
    *,
    paging: PageRequest,
    bound_to: str,
    link: str,
) -> Body:
    """Return a page of a list, all but what is about the request."""
    page, facts = read_part(shared, listing, paging, bound_to, version)
    following = facts["next_cursor"]
    return Body(
        content_type="application/json",
        head=_head(page.bodies, facts),
        pagination=encoding.encode(facts),
        headers=(_link(link, following),) if following else (),
    )


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
    """Read the part of a list that this request asks for; see :func:`read_part`."""
    return read_part(delivery(), listing, paging, bound_to, g.version)


def read_part(
    shared: Delivery, listing: Listing, paging: PageRequest, bound_to: str, version: str
) -> tuple[ListingPage, dict[str, Any]]:
    """Read a part of a list.

    Returns:
        The rows, and the ``pagination`` member.

    Raises:
        InvalidInputError: If the cursor is not of this list.
    """
    after = pagination.decode_cursor(paging.cursor, bound_to) if paging.cursor else None
    seed = f"{version} {bound_to}"  # not the tag: pages of one list share its order and total
    with shared.driver.reading() as reading:
        total = shared.totals.of(
            f"{paging.count} {seed}", lambda: listing.total(reading, paging.count)
        )
        walks = shared.walks if total is None or total <= MAX_ROWS else None
        page = walking.read(reading, walks, listing, paging, after, seed=seed)
    cursor = pagination.encode_cursor(page.last, bound_to) if page.last else None
    return page, pagination.facts(
        paging, returned=len(page.bodies), total=total, next_cursor=cursor
    )


def finished(body: Body) -> Response:
    """Return an answer: what is kept, and what is about this request."""
    whole = body.head + body.rest(encoding.encode(about_request()))
    response = Response(whole, content_type=body.content_type)
    response.headers.extend(body.headers)
    return marked(response)


def keep(topics: tuple[str, ...]) -> None:
    """Let the front door keep this good answer; of one that is no list or small file, its tag."""
    request.environ[KEPT] = Kept(
        version=g.version,
        topics=topics,
        scope=g.scope,
        rule=url_rule(request),
        etag=g.etag,
        body=g.get("body"),
        make=g.get("make"),
    )


def marked(response: Response) -> Response:
    """Give a good answer its tag, and say that it must be asked for again."""
    if response.status_code in {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED}:
        response.headers["ETag"] = f'"{g.etag}"'
        response.headers["Cache-Control"] = _REVALIDATE
        add_vary(response, "Accept", "Authorization", "X-API-Key")
    return response


def link_next(response: Response, cursor: str | None) -> None:
    """Add the ``Link`` to the next page, if there is one."""
    if cursor:
        response.headers.extend((_link(_link_to(), cursor),))


def _link_to() -> str:
    """Return the address of another page of this list, up to its cursor."""
    kept = [
        (k, v) for k, v in request.args.items(multi=True) if k not in {"cursor", "page", "offset"}
    ]
    return f"{request.path}?{urlencode([*kept, ('cursor', '')])}"


def _link(address: str, cursor: str) -> tuple[str, str]:
    return "Link", f'<{address}{quote_plus(cursor)}>; rel="next"'


def export_list(
    name: str, listing: Listing, query: Mapping[str, Any], stem: str, *, is_lasting: bool = False
) -> Response:
    """Return a list as a file: all of it unless ``limit`` was given.

    Args:
        name: ``csv`` | ``ndjson`` | ``parquet``.
        listing: What is listed.
        query: The loaded arguments, with ``paging``.
        stem: The file's name without its ending.
        is_lasting: Whether these arguments will always mean this list.

    Raises:
        InvalidInputError: If a cursor was given.
    """
    paging: PageRequest = query["paging"]
    if paging.cursor is not None:
        raise InvalidInputError("An export is not walked by cursor.", field="cursor")
    limit = paging.limit if query["has_limit"] else None
    part: dict[str, Any] = {"limit": limit, "offset": paging.offset}
    if name == "ndjson" and limit is not None and limit <= formats.CHUNK_ROWS:
        lines = partial(_lines, delivery(), limit=limit, offset=paging.offset, stem=stem)
        return _made(lines, listing, is_lasting=is_lasting)
    if name == "ndjson":  # PostgreSQL writes these lines as it writes the rows of a page
        return _download(name, lambda c: formats.join_lines(listing.stream_json(c, **part)), stem)
    return send_export(name, listing.kinds(), partial(listing.stream, **part), stem)


def _lines(
    shared: Delivery, listing: Listing, _version: str, *, limit: int, offset: int, stem: str
) -> Body:
    """Return a file of lines that is small enough to be kept."""
    with shared.driver.reading() as reading:
        lines = listing.lines(reading, limit=limit, offset=offset)
    return Body(
        content_type=formats.content_type("ndjson"),
        head=b"".join(formats.join_lines(lines)),
        headers=(_disposition("ndjson", stem),),
    )


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
    if name == "parquet":
        formats.require_parquet()  # while the answer can still be a 406
    return _download(name, lambda c: formats.write(name, columns, rows(c)), stem)


def _download(name: str, chunks: Callable[[Connection], Iterator[bytes]], stem: str) -> Response:
    engine = dependencies().engine

    def produce() -> Iterator[bytes]:
        with engine.connect() as connection, connection.begin():
            yield from chunks(connection)

    response = lasting(produce(), formats.content_type(name))
    response.headers.extend((_disposition(name, stem),))
    return response


def _disposition(name: str, stem: str) -> tuple[str, str]:
    return "Content-Disposition", f'attachment; filename="{stem}.{name}"'
