"""Which pages travel through transform and load together."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

FIRST_ITEMS = 1_000
GROWTH = 4  # few batches, of which the first does not keep the others waiting
TARGET_ITEMS = 5_000  # a task costs 2.7 ms; at this size that is below 1 % of the work
LONGEST_WAIT = timedelta(seconds=2)


class OpenPage(NamedTuple):
    """A fetched page that is in no batch yet.

    Attributes:
        items: Those that have to be looked at.
    """

    page: int
    items: int
    fetched_at: datetime


def target(before: int) -> int:
    """Return how many items the next batch should have, after so many in earlier ones.

    The first one is small, so that transform and load begin while little has been fetched.
    """
    return min(TARGET_ITEMS, max(FIRST_ITEMS, GROWTH * before))


def closed_by(
    pages: Sequence[OpenPage], *, before: int, now: datetime, last: bool
) -> list[list[int]]:
    """Cut pages that wait into batches.

    Args:
        pages: In order of page number.
        before: Items of the pages before them.
        now: The database's time.
        last: Whether the source has been read to its end.

    Returns:
        Page numbers of each batch that is ready; pages not named go on waiting.
    """
    batches: list[list[int]] = []
    current: list[OpenPage] = []
    for page in pages:
        current.append(page)
        held = sum(entry.items for entry in current)
        if held >= target(before):
            batches.append([entry.page for entry in current])
            before += held
            current = []
    if current and (last or now - current[0].fetched_at >= LONGEST_WAIT):
        batches.append([entry.page for entry in current])
    return batches
