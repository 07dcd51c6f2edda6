"""Bodies made smaller when the client can read them: zstd or br if installed, gzip always."""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from importlib import import_module
from typing import Any

from flask import Flask, Response, request
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from service.packing import GZIP_LEVEL

MIN_BYTES = 500
_COMPRESSIBLE = (
    "application/json",
    "application/problem+json",
    "text/",
    "application/x-ndjson",
    "application/javascript",
    "image/svg",
)


def init_app(app: Flask) -> None:
    """Compress every body worth it, after all else has been said about the response."""
    coders = _available()

    @app.after_request
    def compress(response: Response) -> Response:
        if not _is_compressible(response):
            return response
        add_vary(response, "Accept-Encoding")
        coding = _chosen(request.headers.get("Accept-Encoding", ""), (*coders,))
        if coding == "identity":
            return response
        if response.is_streamed:
            return _stream(response)
        body = response.get_data()
        if len(body) >= MIN_BYTES and response.status_code not in {204, 206, 304}:
            response.set_data(coders[coding](body))
            _mark(response, coding)
        return response


def add_vary(response: Response, *names: str) -> None:
    """Say which request headers an answer depends on, beside those named already."""
    said = response.headers.get("Vary", "")
    known = said.split(", ") if said else []
    response.headers["Vary"] = ", ".join([*known, *(name for name in names if name not in known)])


def _is_compressible(response: Response) -> bool:
    media = response.mimetype or ""
    return (
        media.startswith(_COMPRESSIBLE)
        and media != "text/event-stream"
        and "Content-Encoding" not in response.headers
        and request.method != "HEAD"
        and not response.direct_passthrough
    )


def _mark(response: Response, coding: str) -> None:
    response.headers["Content-Encoding"] = coding
    etag, is_weak = response.get_etag()
    if etag:  # other bytes need another tag; the comparison knows the suffix
        response.set_etag(f"{etag}-{coding}", weak=bool(is_weak))


def _stream(response: Response) -> Response:
    """Compress an export as it is written, with gzip, the one coding every client reads."""
    if not reads_gzip(request.headers.get("Accept-Encoding", "")):
        return response
    response.response = _gzip_chunks(response.response)
    _mark(response, "gzip")
    return response


def _gzip_chunks(chunks: Iterable[Any]) -> Iterator[bytes]:
    packer = zlib.compressobj(GZIP_LEVEL, wbits=31)
    try:
        for chunk in chunks:
            if packed := packer.compress(chunk):
                yield packed
        yield packer.flush()
    finally:
        if close := getattr(chunks, "close", None):
            close()


@lru_cache(maxsize=256)
def _chosen(accepted: str, codings: tuple[str, ...]) -> str:
    """Return the best of these codings that ``Accept-Encoding`` allows, else ``identity``."""
    allowed = parse_accept_header(accepted, Accept)
    coding = allowed.best_match([*codings, "identity"], default="identity")
    return coding if allowed[coding] > 0 else "identity"


def reads_gzip(accepted: str) -> bool:
    """Tell whether ``Accept-Encoding`` allows gzip and says so."""
    return _chosen(accepted, ("gzip",)) == "gzip"


def _available() -> dict[str, Callable[[bytes], bytes]]:
    """Return the codings this installation has, best first."""
    coders: dict[str, Callable[[bytes], bytes]] = {}
    for coding, module, arguments in (
        ("zstd", "compression.zstd", {"level": 3}),  # in the standard library from Python 3.14 on
        ("br", "brotli", {"quality": 4}),
    ):
        try:
            coders[coding] = partial(import_module(module).compress, **arguments)
        except ImportError:
            continue
    coders["gzip"] = partial(gzip.compress, compresslevel=GZIP_LEVEL, mtime=0)
    return coders
