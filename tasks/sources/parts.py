"""A source made of parts (feeds, files), one of which cannot be had.

The parts that can be read must load, the run must not be called a success, and the next run must
try again. So the broken part becomes a page whose one item is a rejection: its reason stands in the
quarantine, the run ends ``partial``, and the checkpoint moves for the other parts only. When no
part can be had the source itself cannot be reached, and the run fails. See docs/adr/0011.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from tasks.domain.records import Item, Rejection
from tasks.sources.base import Page

_HEADER = "part-failure"
_REASON_CHARS = 400


def failed(
    part: str,
    reason: str,
    *,
    checkpoint: Mapping[str, Any],
    fetched_at: datetime,
    body: bytes = b"",
    media_type: str = "application/octet-stream",
) -> Page:
    """Return the page that stands for a part that cannot be had.

    Args:
        part: Address or file name.
        reason: A sentence for the operator.
        checkpoint: Where the source goes on; it must not count the part as read.
        fetched_at: When it was tried.
        body: What came instead, verbatim, if anything came.
        media_type: Of the body.
    """
    return Page(
        request=part,
        body=body,
        media_type=media_type,
        headers={_HEADER: reason[:_REASON_CHARS]},
        item_count=1,
        checkpoint=checkpoint,
        fetched_at=fetched_at,
    )


def failure(page: Page) -> Item | None:
    """Return the one item of a page that stands for a broken part; None for any other page."""
    said = reason(page)
    if not said:
        return None
    payload = msgspec.json.encode({"part": page.request, "reason": said})
    return Item(None, payload, {_HEADER: said})


def rejection(item: Item) -> Rejection | None:
    """Return the rejection of such an item; None for any other item."""
    said = item.context.get(_HEADER)
    return None if said is None else Rejection(None, "*", "unavailable", said)


def reason(page: Page) -> str:
    """Return why the part that a page stands for cannot be had; empty for any other page."""
    return page.headers.get(_HEADER, "")
