"""A page of a list, by number, by position, or along the order that a walk has pinned."""

from dataclasses import replace

from service.pagination import PageRequest, Position
from service.queries.listing import Listing, ListingPage
from service.queries.prepared import Reading
from service.walks import MAX_ROWS, Walks


def read(
    reading: Reading,
    walks: Walks | None,
    listing: Listing,
    paging: PageRequest,
    after: Position | None,
    *,
    seed: str,
) -> ListingPage:
    """Return the page that is asked for.

    Args:
        reading: What this answer reads.
        walks: The pinned orders; None for a list that is too long to be pinned.
        listing: The list.
        paging: How much is wanted, and from where if not by cursor.
        after: What the cursor says; None without one.
        seed: Names the list and the version of the data; a walk that begins here is pinned by it.
    """
    if walks is not None and after is not None and after.walk:
        page = _along(reading, walks, listing, paging.limit, after)
        if page is not None:
            return page
    page = listing.page(reading, limit=paging.limit, offset=paging.offset, after=after)
    if walks is None or page.last is None or after is not None or not listing.order.moving:
        return page
    return _pinned(reading, walks, listing, paging, page, seed)


def _along(
    reading: Reading, walks: Walks, listing: Listing, limit: int, after: Position
) -> ListingPage | None:
    ids = walks.read(after.walk, after.offset, limit + 1)
    if ids is None:
        return None
    page = listing.page_of(reading.connection, ids[:limit], has_more=len(ids) > limit)
    if len(ids) <= limit:
        return page
    # A page whose rows are all gone has no last row; the position before it still serves.
    last = page.last or after
    return replace(page, last=replace(last, walk=after.walk, offset=after.offset + limit))


def _pinned(
    reading: Reading,
    walks: Walks,
    listing: Listing,
    paging: PageRequest,
    page: ListingPage,
    seed: str,
) -> ListingPage:
    walk = walks.pin(seed, lambda: listing.ids(reading.connection, limit=MAX_ROWS + 1))
    if walk is None:
        return page
    end = paging.offset + paging.limit
    given = list(walk.ids[paging.offset : end])
    if [str(row_id) for row_id in given] != page.ids:  # a load came between the two reads
        page = listing.page_of(reading.connection, given, has_more=True)
    if page.last is None:
        return page
    return replace(page, last=replace(page.last, walk=walk.name, offset=end))
