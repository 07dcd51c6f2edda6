"""Answers that need not be made again: entity tags from the data's version, and a small cache.

An ETag names the data, the address and the format. Two answers with the same tag carry the same
data; the request id and the latency inside a body, which differ, are about the request.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock
from typing import Any

from service.packing import PackedHead
from tasks.core.clock import Clock

_MAX_AGE_S = 600.0
_MAX_BYTES = 32 * 1024 * 1024
_MAX_ENTRY_BYTES = 1024 * 1024
_OWN_BYTES = 1000  # about what an entry takes beside its texts
_MAKING_BYTES = 20_000  # the same for what a list is made with: statements, mostly
KEPT = "kasparro.kept"
"""Where in the WSGI environment an app leaves what may be kept of its answer."""
Address = tuple[str, ...]
"""What an answer depends on beside the data: path, query and ``Accept``, as they came."""
Make = Callable[[str], "Body"]
"""Makes an answer's body, given the version of the data that was read before."""


def address_of(environ: Mapping[str, Any]) -> Address:
    """Return the address of a WSGI request."""
    return (
        environ.get("PATH_INFO", ""),
        environ.get("QUERY_STRING", ""),
        environ.get("HTTP_ACCEPT", ""),
    )


def etag_of(address: Address, version: str) -> str:
    """Return the tag, without quotes, of what is at this address at this version."""
    return hashlib.sha256(repr((version, *address)).encode()).hexdigest()[:32]


def is_current(known: str, etag: str) -> bool:
    """Tell whether the client, which sent ``known`` as ``If-None-Match``, has this already.

    The comparison is weak, as RFC 9110 13.1.2 asks: a proxy that compresses marks the tag ``W/``,
    and our own compression adds a suffix. ``*`` is no tag: it needs an answer first, to know that
    there is one.
    """
    tags = (tag.strip().removeprefix("W/").strip('"') for tag in known.split(","))
    return any(tag.partition("-")[0] == etag for tag in tags)


@dataclass(frozen=True, kw_only=True)
class Body:
    """The part of an answer that only the data decides.

    Attributes:
        content_type: Of the whole.
        head: Bytes up to where the request's own members go, the comma before them included; of a
            file all of it.
        pagination: Bytes of the member that follows them; None in a file, which has no such
            members.
        headers: Further headers.
    """

    content_type: str
    head: bytes
    pagination: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @cached_property
    def packed(self) -> PackedHead:
        """The head, compressed once for all who ask."""
        return PackedHead(self.head)

    def rest(self, about: bytes) -> bytes:
        """Return what follows the head, given a JSON object of the request's own members."""
        if self.pagination is None:
            return b""
        parts = (about[1:-1], b',"pagination":', self.pagination, b',"meta":', about, b"}")
        return b"".join(parts)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A good answer, for whoever asks again.

    Attributes:
        version: Of the data.
        topics: What of the data decides.
        scope: What the caller must be allowed.
        rule: The route, as metrics call it.
        etag: Without quotes.
        body: None if only the tag is kept.
        make: Makes the body of another version of the data; None if that takes Flask.
        headers: What the answer had beside those of its request and of its body.
    """

    version: str
    topics: tuple[str, ...]
    scope: str
    rule: str
    etag: str
    body: Body | None
    make: Make | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def of(self, version: str, address: Address) -> "Kept":
        """Return the answer that is given at an address at another version, without its body."""
        return replace(self, version=version, etag=etag_of(address, version), body=None)


class ResponseCache:
    """The newest answers of this process, one for each address: bounded in bytes and in age."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._entries: OrderedDict[Address, tuple[float, Kept]] = OrderedDict()
        self._bytes = 0

    def get(self, address: Address) -> Kept | None:
        """Return the answer, if it is here and not too old; the data may have changed since."""
        with self._lock:
            stored_s, kept = self._entries.get(address, (-_MAX_AGE_S, None))
            if kept is None or self._clock.monotonic() - stored_s > _MAX_AGE_S:
                return None
            self._entries.move_to_end(address)
            return kept

    def put(self, address: Address, kept: Kept) -> None:
        """Keep an answer in place of an older one, letting the least used ones go."""
        if _weight(address, kept) > _MAX_ENTRY_BYTES:
            return
        with self._lock:
            self._forget(address)
            self._entries[address] = (self._clock.monotonic(), kept)
            self._bytes += _weight(address, kept)
            while self._bytes > _MAX_BYTES:
                self._forget(next(iter(self._entries)))

    def _forget(self, address: Address) -> None:
        entry = self._entries.pop(address, None)
        self._bytes -= _weight(address, entry[1]) if entry else 0


def _weight(address: Address, kept: Kept) -> int:
    own = _OWN_BYTES if kept.make is None or kept.body else _MAKING_BYTES
    return own + sum(map(len, address)) + (len(kept.body.head) if kept.body else 0)
