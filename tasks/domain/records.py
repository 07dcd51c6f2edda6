"""What a source's item becomes: a quote, a news entry, or a rejection that says why not.

Records are tuples: a page of them goes to ``COPY`` through the C encoder of :mod:`csv` as it is.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple


class Item(NamedTuple):
    """One entry of a page, in the vendor's words.

    Attributes:
        external_id: The source's own id; None when the item has none that can be read.
        payload: The item as JSON text, values untouched; for a JSON source the very bytes it sent.
        context: What the page knows and the item does not say (feed title, file name); shared.
    """

    external_id: str | None
    payload: bytes
    context: Mapping[str, Any] = {}


class Quote(NamedTuple):
    """One source's observation of one asset's market. Money is in USD, exact.

    Attributes:
        external_id: The source's own id, never empty.
        symbol: As the source writes it, cleaned of invisible characters; not upper-cased.
        name: As the source writes it, cleaned.
        observed_at: The *source's* timestamp, aware, UTC.
        percent_change_24h: Percent, not a fraction.
        contracts: ``platform=address`` pairs joined with ``|``, lower case; None when not given.
    """

    external_id: str
    symbol: str
    name: str
    rank: int | None
    price_usd: Decimal | None
    market_cap_usd: Decimal | None
    volume_24h_usd: Decimal | None
    percent_change_24h: Decimal | None
    observed_at: datetime
    contracts: str | None = None


class NewsEntry(NamedTuple):
    """One entry of a feed, as plain text.

    Attributes:
        external_id: The entry's guid, made unique where the feed reuses one (guid + edition).
        published_at: Aware UTC; None when the feed gives no date that can be read.
    """

    external_id: str
    feed: str
    title: str
    url: str | None
    summary: str | None
    author: str | None
    published_at: datetime | None


class Rejection(NamedTuple):
    """Why an item is in quarantine.

    Attributes:
        external_id: The item's id if it could be read.
        field: The vendor's field at fault, ``"*"`` for the item as a whole.
        rule: Stable slug: ``required``, ``type``, ``range``, ``width``, ``date``, ``shape`` …
        reason: A sentence for a person, with the offending value shortened.
    """

    external_id: str | None
    field: str
    rule: str
    reason: str


Record = Quote | NewsEntry
