"""CoinGecko: ``GET /coins/markets``, pages of 250 coins by market capitalisation.

The vendor's documentation: docs.coingecko.com, *coins-markets* and *errors-and-rate-limits*.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from tasks.core.errors import (
    BudgetSpentError,
    KasparroError,
    PermanentError,
    UnreadablePageError,
)
from tasks.core.settings import SourceSettings
from tasks.domain import quality
from tasks.domain.records import Item, Quote, Rejection
from tasks.sources import coingecko_seams, json_pages, refusals
from tasks.sources.base import Cursor, FetchContext, Fetched, Page, Response, SourceSpec
from tasks.sources.coingecko_seams import Reading

PER_PAGE = 250
"""The most the vendor gives at once; every call counts, so always ask for it."""
MAX_PAGES = 200
"""50,000 coins; the vendor listed 18,000 in 2026. Beyond, the answers must be going in circles."""
KEY_HEADERS = {"demo": "x-cg-demo-api-key", "pro": "x-cg-pro-api-key"}
PRO_HOST = "pro-api.coingecko.com"

_FIELDS = {
    "external_id": "id",
    "symbol": "symbol",
    "name": "name",
    "rank": "market_cap_rank",
    "price_usd": "current_price",
    "market_cap_usd": "market_cap",
    "volume_24h_usd": "total_volume",
    "percent_change_24h": "price_change_percentage_24h",
    "observed_at": "last_updated",
}
_KEY_ADVICE = (
    "COINGECKO_PLAN, COINGECKO_API_KEY and COINGECKO_BASE_URL must belong together: "
    "a demo key goes to api.coingecko.com, a pro key to pro-api.coingecko.com"
)
_ADVICE = {
    10002: f"the API key is missing; {_KEY_ADVICE}",
    10005: "the plan does not include this; use a higher COINGECKO_PLAN with its key",
    10010: f"a pro key was sent to the public host; {_KEY_ADVICE}",
    10011: f"a demo key was sent to the pro host; {_KEY_ADVICE}",
    10012: "the plan does not reach so far back",
    1020: "its firewall refuses this address; COINGECKO_PLAN=demo with a key helps",
    400: "it does not understand the request; check COINGECKO_BASE_URL",
    401: f"the API key is not accepted; {_KEY_ADVICE}",
    403: (
        "access is denied; keyless calls from a shared address often are, "
        f"and COINGECKO_PLAN=demo with a key helps; {_KEY_ADVICE}"
    ),
    404: "there is nothing at this address; check COINGECKO_BASE_URL",
}


class _Coin(msgspec.Struct, gc=False):
    symbol: str
    name: str
    last_updated: datetime
    market_cap_rank: int | None = None
    current_price: Decimal | None = None
    market_cap: Decimal | None = None
    total_volume: Decimal | None = None
    price_change_percentage_24h: Decimal | None = None


_COIN = msgspec.json.Decoder(_Coin)


class CoinGecko:
    """The connector of CoinGecko's market list."""

    spec = SourceSpec(
        name="coingecko",
        kind="quotes",
        title="CoinGecko",
        json_items=True,
        crosses_network=True,
        # The default schedule is every six hours; what the last run saw holds until the next.
        fresh_for_s=8 * 3600,
        # Ranks move between pages: the longer the break, the more coins slip past it.
        resume_within_s=15 * 60,
        precedence=10,
        schema_name=lambda _page: "coins_markets",
    )

    def fetch(self, context: FetchContext, cursor: Cursor | None) -> Fetched:
        """Ask for one page of coins, or once more for one across whose end coins have moved.

        What a cursor holds, and why, is told in :mod:`tasks.sources.coingecko_seams`.

        A checkpoint is ``{"newest": newest last_updated so far, "pages": pages of this run}``, and
        if coins moved ``{"seams": {"moved", "reread", "recovered"}}``: seams, seams, coins.
        """
        if cursor is None:
            return _read(context, Reading(newest=context.checkpoint.get("newest")))
        reading = Reading(**cursor)
        return _read(context, reading) if reading.again is None else _reread(context, reading)

    def parse(self, page: Page) -> Iterable[Item]:
        """Split a page into coins, lazily.

        Raises:
            UnreadablePageError: If the page is not an array of objects.
        """
        return json_pages.items(page)

    def normalise(self, item: Item) -> Quote | Rejection:
        """Make a quote of a coin; null is missing, and zero is zero."""
        try:
            coin = json_pages.decode(_COIN, item.payload)
        except json_pages.BROKEN_JSON as exc:
            return json_pages.rejection(item, exc)
        if item.external_id is None:
            return json_pages.id_rejection(item)
        draft = Quote(
            item.external_id,
            coin.symbol,
            coin.name,
            coin.market_cap_rank or None,
            coin.current_price,
            coin.market_cap,
            coin.total_volume,
            coin.price_change_percentage_24h,
            coin.last_updated,
        )
        return quality.quote_or_rejection(
            draft, fields=_FIELDS, fetched_at=item.context.get("fetched_at")
        )


def judge(response: Response) -> KasparroError | None:
    """Read what CoinGecko, or the network before it, means by an answer."""
    return refusals.judge(response, title="CoinGecko", advice=_ADVICE)


def _params(number: int, per_page: int) -> Mapping[str, str | int]:
    return {
        "vs_currency": "usd",
        "order": "market_cap_desc",
        "per_page": per_page,
        "page": number,
        "price_change_percentage": "1h,24h,7d",
        # Without it small prices are rounded to a few digits.
        "precision": "full",
    }


def _per_page(settings: SourceSettings) -> int:
    return min(PER_PAGE, settings.max_coins or PER_PAGE)


def headers(settings: SourceSettings) -> Mapping[str, str]:
    """Return the header that carries the key, if there is one.

    Raises:
        PermanentError: If the key belongs to another host.
    """
    host, is_pro = urlsplit(settings.base_url).hostname or "", settings.plan == "pro"
    # A key is not shown to the host it does not belong to. Hosts that are not the vendor's
    # (a proxy, a simulator) take either.
    if settings.api_key and host.endswith("coingecko.com") and (host == PRO_HOST) != is_pro:
        raise PermanentError(
            f"COINGECKO_PLAN is {settings.plan}, but COINGECKO_BASE_URL is {host}; {_KEY_ADVICE}"
        )
    header = KEY_HEADERS.get(settings.plan)
    return {header: settings.api_key} if header and settings.api_key else {}


def _read(context: FetchContext, reading: Reading) -> Fetched:
    number, per_page = reading.page or 1, _per_page(context.settings)
    body = _ask(context, number)
    coins = json_pages.answered(body)
    ids = [json_pages.external_id(bytes(coin)) for coin in coins]
    _refuse_circles(number, ids, reading)
    turned = reading.turned(number, ids, is_last=_is_last(context.settings, number, len(coins)))
    left = (context.settings.max_coins or len(coins) + number * per_page) - (number - 1) * per_page
    cut = _Cut(number, coins[:left], json_pages.verbatim(body, coins, coins[:left]))
    return _fetched(context, cut, turned, pages=number)


def _reread(context: FetchContext, reading: Reading) -> Fetched:
    """Ask for a page once more, for the coins that have moved up to it since.

    A month's budget that ends here ends the reading of seams and not the run, which has its pages.
    """
    number = reading.again or 1
    try:
        body = _ask(context, number)
    except BudgetSpentError:
        cut = _Cut(number, [], b"[]")
        return _fetched(context, cut, reading.mended(None), pages=number + 1)
    coins = json_pages.answered(body)
    missed = reading.missed(coins)
    cut = _Cut(number, missed, json_pages.verbatim(body, coins, missed))
    return _fetched(context, cut, reading.mended(len(missed)), pages=number + 1)


class _Cut(NamedTuple):
    """What is kept of the answer for page ``number``, and the body that holds just that."""

    number: int
    kept: Sequence[msgspec.Raw]
    body: bytes


def _fetched(context: FetchContext, cut: _Cut, reading: Reading, *, pages: int) -> Fetched:
    fetched_at = context.clock.now()
    newest = json_pages.newest(cut.kept, since=reading.newest, fetched_at=fetched_at)
    reading = replace(reading, newest=newest)
    page = Page(
        request=f"GET /coins/markets?page={cut.number}&per_page={_per_page(context.settings)}",
        body=cut.body,
        media_type="application/json",
        checkpoint=reading.checkpoint(pages),
        item_count=len(cut.kept),
        fetched_at=fetched_at,
    )
    return Fetched(pages=(page,), next_cursor=reading.cursor())


def _ask(context: FetchContext, number: int) -> bytes:
    return context.http.get(
        f"{context.settings.base_url}/coins/markets",
        params=_params(number, _per_page(context.settings)),
        headers=headers(context.settings),
        judge=judge,
    ).body


def _is_last(settings: SourceSettings, number: int, count: int) -> bool:
    per_page = _per_page(settings)
    # The vendor drops a few delisted coins from full pages; only a page less than half full is
    # surely the end. At worst this costs one call, whose answer is empty.
    return count * 2 < per_page or number * per_page >= (settings.max_coins or math.inf)


def _refuse_circles(number: int, ids: Sequence[str | None], reading: Reading) -> None:
    if number > MAX_PAGES:
        raise UnreadablePageError(f"CoinGecko's list does not end after {MAX_PAGES} pages")
    if coingecko_seams.fingerprint(ids) == reading.seen:
        raise UnreadablePageError(
            f"CoinGecko gave the same coins as pages {number - 1} and {number}"
        )
