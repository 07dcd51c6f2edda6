"""CoinPaprika: ``GET /v1/tickers``, every coin of the plan in one answer.

The vendor's documentation: docs.coinpaprika.com and its OpenAPI document 1.7.10. It knows no null:
0 and the empty text stand for "missing".
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

import msgspec

from tasks.core.errors import KasparroError
from tasks.core.settings import SourceSettings
from tasks.domain import quality
from tasks.domain.quality import Fault
from tasks.domain.records import Item, Quote, Rejection
from tasks.sources import json_pages, refusals
from tasks.sources.base import Content, Cursor, FetchContext, Fetched, Page, Response, SourceSpec

ITEMS_PER_PAGE = 5000
"""How many tickers become one page: what goes through transform and load at once."""

_FIELDS = {
    "external_id": "id",
    "symbol": "symbol",
    "name": "name",
    "rank": "rank",
    "price_usd": "quotes.USD.price",
    "market_cap_usd": "quotes.USD.market_cap",
    "volume_24h_usd": "quotes.USD.volume_24h",
    "percent_change_24h": "quotes.USD.percent_change_24h",
    "observed_at": "last_updated",
}
_PLAN_ADVICE = "the plan does not include this; see coinpaprika.com/api and COINPAPRIKA_API_KEY"
_KEY_ADVICE = (
    "the API key is not accepted; check COINPAPRIKA_API_KEY, COINPAPRIKA_AUTH_SCHEME (normally "
    "empty) and that COINPAPRIKA_BASE_URL is the host of the plan"
)
_ADVICE = {
    400: f"it does not understand the request, or {_PLAN_ADVICE}",
    401: _KEY_ADVICE,
    402: _PLAN_ADVICE,
    403: _KEY_ADVICE,
    404: "there is nothing at this address; check COINPAPRIKA_BASE_URL",
}
_NO_USD = Fault("required", "is missing: the ticker is quoted in other currencies only")


class _Market(msgspec.Struct, gc=False):
    price: Decimal | None = None
    market_cap: Decimal | None = None
    volume_24h: Decimal | None = None
    percent_change_24h: Decimal | None = None


class _Quotes(msgspec.Struct, gc=False, rename={"usd": "USD"}):
    usd: _Market | None = None


class _Ticker(msgspec.Struct, gc=False):
    symbol: str
    name: str
    last_updated: datetime
    quotes: _Quotes
    rank: int | None = None


_TICKER = msgspec.json.Decoder(_Ticker)


class CoinPaprika:
    """The connector of CoinPaprika's tickers."""

    spec = SourceSpec(
        name="coinpaprika",
        kind="quotes",
        title="CoinPaprika",
        json_items=True,
        crosses_network=True,
        # The default schedule is every six hours; what the last run saw holds until the next.
        fresh_for_s=8 * 3600,
        # One answer is all: its pages are either stored together or not at all.
        resume_within_s=15 * 60,
        precedence=20,
        schema_name=lambda _page: "tickers",
    )

    def fetch(self, context: FetchContext, cursor: Cursor | None) -> Fetched:  # noqa: ARG002 - all comes at once
        """Ask once for everything; pages are cut as they are asked for.

        A checkpoint is ``{"newest": newest last_updated so far, "pages": pages of this run}``.
        """
        response = context.http.get(
            f"{context.settings.base_url}/tickers",
            params={"quotes": "USD"},
            headers=_headers(context.settings),
            judge=judge,
        )
        tickers = json_pages.answered(response.content)
        return Fetched(pages=_pages(context, response.content, tickers), next_cursor=None)

    def parse(self, page: Page) -> Iterable[Item]:
        """Split a page into tickers, lazily.

        Raises:
            UnreadablePageError: If the page is not an array of objects.
        """
        return json_pages.items(page)

    def normalise(self, item: Item) -> Quote | Rejection:
        """Make a quote of a ticker.

        A price, a market capitalisation or a rank of 0 is missing: nobody trades for nothing, and
        the vendor ranks coins whose supply it does not know. A change or a volume of 0 is a value:
        nothing moved, nobody traded.
        """
        try:
            ticker = json_pages.decode(_TICKER, item.payload)
        except json_pages.BROKEN_JSON as exc:
            return json_pages.rejection(item, exc)
        if item.external_id is None:
            return json_pages.id_rejection(item)
        market = ticker.quotes.usd
        if market is None:
            return quality.rejection(item.external_id, "quotes.USD", _NO_USD)
        draft = Quote(
            item.external_id,
            ticker.symbol,
            ticker.name,
            ticker.rank or None,
            market.price or None,
            market.market_cap or None,
            market.volume_24h,
            market.percent_change_24h,
            ticker.last_updated,
        )
        return quality.quote_or_rejection(
            draft, fields=_FIELDS, fetched_at=item.context.get("fetched_at")
        )


def judge(response: Response) -> KasparroError | None:
    """Read what CoinPaprika, or the network before it, means by an answer."""
    return refusals.judge(response, title="CoinPaprika", advice=_ADVICE)


def _headers(settings: SourceSettings) -> Mapping[str, str]:
    if not settings.api_key:
        return {}
    return {"Authorization": f"{settings.auth_scheme} {settings.api_key}".strip()}


def _pages(context: FetchContext, content: Content, tickers: list[msgspec.Raw]) -> Iterator[Page]:
    newest, fetched_at = context.checkpoint.get("newest"), context.clock.now()
    # An answer without tickers is a page as well: a run that saw nothing must be able to show it.
    for number, start in enumerate(range(0, max(1, len(tickers)), ITEMS_PER_PAGE), 1):
        kept = tickers[start : start + ITEMS_PER_PAGE]
        newest = json_pages.newest(kept, since=newest, fetched_at=fetched_at)
        yield Page(
            request=f"GET /tickers?quotes=USD#{number}",
            body=json_pages.verbatim(content, tickers, kept),
            media_type="application/json",
            checkpoint={"newest": newest, "pages": number},
            item_count=len(kept),
            fetched_at=fetched_at,
        )
