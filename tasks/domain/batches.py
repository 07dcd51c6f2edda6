"""Which pages travel through transform and load together."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

TARGET_ITEMS = 5_000  # a task costs 2.7 ms; at this size that is below 1 % of the work
LONGEST_WAIT = timedelta(seconds=2)


class OpenPage(NamedTuple):
    """A fetched page that is in no batch yet."""

    page: int
    items: int
    fetched_at: datetime


def closed_by(pages: Sequence[OpenPage], *, now: datetime, last: bool) -> list[list[int]]:
    """Cut pages that wait into batches.

    Args:
        pages: In order of page number.
        now: The database's time.
        last: Whether the source has been read to its end.

    Returns:
        Page numbers of each batch that is ready; pages not named go on waiting.
    """
    batches: list[list[int]] = []
    current: list[OpenPage] = []
    for page in pages:
        current.append(page)
        if sum(entry.items for entry in current) >= TARGET_ITEMS:
            batches.append([entry.page for entry in current])
            current = []
    if current and (last or now - current[0].fetched_at >= LONGEST_WAIT):
        batches.append([entry.page for entry in current])
    return batches
