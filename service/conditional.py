"""Answers that need not be made again: entity tags from the data's version, and a small cache.

An ETag names the data, the address and the format. Two answers with the same tag carry the same
data; the request id and the latency inside a body, which differ, are about the request.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from flask import Request

from tasks.core.clock import Clock

_MAX_AGE_S = 600.0
_MAX_BYTES = 32 * 1024 * 1024
_MAX_ENTRY_BYTES = 1024 * 1024


def etag_of(request: Request, version: str) -> str:
    """Return the tag, without quotes, of this address in this format at this version."""
    facts = (version, request.full_path, request.headers.get("Accept", ""))
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def is_current(request: Request, etag: str) -> bool:
    """Tell whether the client has this already.

    The comparison is weak, as RFC 9110 13.1.2 asks: a proxy that compresses marks the tag ``W/``,
    and our own compression adds a suffix. ``*`` is no tag: it needs an answer first, to know that
    there is one.
    """
    tags = {tag for tag, _weak in _tags(request.if_none_match.to_header())}
    return any(tag.partition("-")[0] == etag for tag in tags)


def _tags(header: str) -> list[tuple[str, bool]]:
    parts = [part.strip() for part in header.split(",") if part.strip()]
    return [(part.removeprefix("W/").strip('"'), part.startswith("W/")) for part in parts]


@dataclass(frozen=True)
class CachedBody:
    """The part of a body that only the data decides.

    Attributes:
        head: Bytes up to where the request's own members go.
        tail: Bytes of the ``pagination`` member.
        next_link: Query string of the next page; empty for none.
    """

    head: bytes
    tail: bytes
    next_link: str = ""


class ResponseCache:
    """The newest bodies of this process, by entity tag: bounded in bytes and in age."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._bodies: OrderedDict[str, tuple[float, CachedBody]] = OrderedDict()
        self._bytes = 0

    def get(self, etag: str) -> CachedBody | None:
        """Return the body with this tag, if it is here and not too old."""
        with self._lock:
            stored_s, body = self._bodies.get(etag, (-_MAX_AGE_S, None))
            if body is None or self._clock.monotonic() - stored_s > _MAX_AGE_S:
                return None
            self._bodies.move_to_end(etag)
            return body

    def put(self, etag: str, body: CachedBody) -> None:
        """Keep a body, letting the least used ones go."""
        if len(body.head) > _MAX_ENTRY_BYTES:
            return
        with self._lock:
            self._forget(etag)
            self._bodies[etag] = (self._clock.monotonic(), body)
            self._bytes += len(body.head)
            while self._bytes > _MAX_BYTES:
                self._forget(next(iter(self._bodies)))

    def _forget(self, etag: str) -> None:
        _stored, body = self._bodies.pop(etag, (0.0, None))
        self._bytes -= len(body.head) if body else 0
