"""Three ways to ask for a part of a list, and the cursor that makes the third exact."""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.core.errors import InvalidInputError

MAX_OFFSET = 10_000_000
_DIGEST_BYTES = 9


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a walk goes on: after the row with this key and id.

    Attributes:
        key: The row's sort value as text; None where it is null.
        row_id: The row's own key, which breaks ties.
        walk: The pinned order this walk follows; empty for none.
        offset: How many rows of the walk have been given.
    """

    key: str | None
    row_id: str
    walk: str = ""
    offset: int = 0


@dataclass(frozen=True, kw_only=True)
class PageRequest:
    """What part of a list is wanted.

    Attributes:
        limit: Rows at most.
        offset: Rows to pass over; 0 with a cursor.
        cursor: The opaque text the caller sent; None in the other styles.
        count: ``exact`` | ``estimated`` | ``none``; None for what is fast.
    """

    limit: int
    offset: int = 0
    cursor: str | None = None
    count: str | None = None

    @property
    def page(self) -> int:
        """The page's number from 1, as if the list were cut every ``limit`` rows."""
        return self.offset // self.limit + 1


def chosen(query: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return those of the named arguments that were given: what a list is filtered by."""
    return {name: query[name] for name in names if name in query}


def fingerprint(order: str, filters: Mapping[str, Any]) -> str:
    """Return what binds a cursor to its list: the sort and the filters that are set."""
    facts = sorted((name, str(value)) for name, value in filters.items() if value is not None)
    return hashlib.sha256(repr((order, facts)).encode()).hexdigest()


def encode_cursor(position: Position, bound_to: str) -> str:
    """Return the opaque text for ``position`` in the list with that fingerprint."""
    body = json.dumps(
        [position.key, position.row_id, position.walk, position.offset], separators=(",", ":")
    ).encode()
    return base64.urlsafe_b64encode(_digest(body, bound_to) + body).rstrip(b"=").decode()


def decode_cursor(text: str, bound_to: str) -> Position:
    """Read a cursor back.

    Raises:
        InvalidInputError: If it is damaged, or was given for another sort or other filters.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    digest, body = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    if digest != _digest(body, bound_to):
        raise InvalidInputError(
            "The cursor is damaged, or belongs to a list with another sort or other filters.",
            field="cursor",
        )
    key, row_id, walk, offset = json.loads(body)
    return Position(key=key, row_id=row_id, walk=walk, offset=offset)


def _digest(body: bytes, bound_to: str) -> bytes:
    return hashlib.sha256(bound_to.encode() + body).digest()[:_DIGEST_BYTES]


def facts(
    request: PageRequest, *, returned: int, total: int | None, next_cursor: str | None
) -> dict[str, Any]:
    """Return the ``pagination`` member of a list's body; ``total`` None is null."""
    return {
        "limit": request.limit,
        "offset": request.offset,
        "page": request.page,
        "page_size": request.limit,
        "per_page": request.limit,
        "returned": returned,
        "total": total,
        "total_items": total,
        "total_pages": None if total is None else math.ceil(total / request.limit),
        "next_cursor": next_cursor,
    }
