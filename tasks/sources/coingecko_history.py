"""CoinGecko's past: ``GET /coins/{id}/market_chart/range``, one coin and up to 90 days a call.

How fine the answer is depends on the length of the range: five minutes up to a day, hours up to 90
days, days beyond. A range is therefore cut into 90 days, and the pieces give the same points
whenever they are asked for. The vendor's documentation: docs.coingecko.com,
*coins-id-market-chart-range*.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote, unquote

import msgspec

from tasks.core.errors import PermanentError, TransientError, UnreadablePageError
from tasks.domain import quality
from tasks.domain.quality import Fault
from tasks.domain.records import Item, Quote, Rejection
from tasks.sources import coingecko, json_pages
from tasks.sources.base import Cursor, FetchContext, Fetched, Page
from tasks.sources.coingecko import CoinGecko

CHUNK = timedelta(days=90)
UNSETTLED = timedelta(minutes=10)
"""An answer ends in a point that is not on the grid but "now"; asked for again it moves. Whatever
is younger than this is left for the next time, wherever it stands: the last two points may come in
the wrong order, and caches keep an answer for some minutes."""
_MS = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REQUEST = re.compile(r"^GET /coins/(?P<id>[^/]+)/market_chart/range")
_NOT_FOUND = 404
_FIELDS = {
    "external_id": "id",
    "symbol": "id",
    "name": "id",
    "rank": "id",
    "price_usd": "prices",
    "market_cap_usd": "market_caps",
    "volume_24h_usd": "total_volumes",
    "percent_change_24h": "id",
    "observed_at": "prices",
}

_Series = list[tuple[int, msgspec.Raw]]


class _Chart(msgspec.Struct):
    prices: _Series
    market_caps: _Series = []
    total_volumes: _Series = []


class _Point(msgspec.Struct, array_like=True, gc=False):
    at_ms: int
    price: Decimal | None
    market_cap: Decimal | None
    volume: Decimal | None


_CHART = msgspec.json.Decoder(_Chart)
_POINT = msgspec.json.Decoder(_Point)


class CoinGeckoHistory:
    """The connector of CoinGecko's past; see :class:`tasks.sources.base.HistoryConnector`."""

    spec = replace(CoinGecko.spec, kind="history")

    def calls(self, options: Mapping[str, object]) -> int:
        """Return how many calls a backfill takes: for each coin one for every 90 days."""
        coins, since, until = _plan(options)
        return len(coins) * -(-(until - since) // CHUNK)

    def fetch(self, context: FetchContext, cursor: Cursor | None) -> Fetched:
        """Ask for one coin's piece of the range; a cursor is ``{"call": its number from 0}``.

        A coin the vendor does not know any more has no points; the others are not kept waiting.
        """
        number = int(cursor["call"]) if cursor else 0
        coins, since, until = _plan(context.options)
        pieces = -(-(until - since) // CHUNK)
        start = since + number % pieces * CHUNK
        page = _ask(context, coins[number // pieces], start, min(start + CHUNK, until))
        following = number + 1
        more = {"call": following} if following < len(coins) * pieces else None
        return Fetched(pages=(page,), next_cursor=more)

    def parse(self, page: Page) -> Iterable[Item]:
        """Give each settled point as an item ``[ms since 1970, price, market cap, volume]``.

        Raises:
            UnreadablePageError: If the page is no chart.
        """
        match = _REQUEST.match(page.request)
        if match is None:
            raise UnreadablePageError("The page does not say which coin it is of")
        if page.status == _NOT_FOUND:
            return []
        return _items(unquote(match["id"]), _chart(page), page.fetched_at)

    def normalise(self, item: Item) -> Quote | Rejection:
        """Make a quote of a point; its symbol and name are the coin's id, nothing else is known."""
        coin = item.external_id or ""
        try:
            point = _POINT.decode(item.payload)
            observed_at = _EPOCH + point.at_ms * _MS
        except json_pages.BROKEN_JSON as exc:
            return json_pages.rejection(item, exc)
        except OverflowError:
            return quality.rejection(coin, "prices", Fault("date", "The time is out of range."))
        draft = Quote(
            coin,
            coin,
            coin,
            None,
            point.price,
            point.market_cap,
            point.volume,
            None,
            observed_at,
        )
        return quality.quote_or_rejection(
            draft, fields=_FIELDS, fetched_at=item.context.get("fetched_at")
        )


def _plan(options: Mapping[str, object]) -> tuple[list[str], datetime, datetime]:
    coins, since, until = (options[name] for name in ("coins", "since", "until"))
    return (
        list(coins) if isinstance(coins, list) else [],
        datetime.fromisoformat(str(since)),
        datetime.fromisoformat(str(until)),
    )


def _ask(context: FetchContext, coin: str, since: datetime, until: datetime) -> Page:
    path = f"/coins/{quote(coin, safe='')}/market_chart/range"
    first, last = (round(moment.timestamp()) for moment in (since, until))
    try:
        response = context.http.get(
            f"{context.settings.base_url}{path}",
            params={"vs_currency": "usd", "from": first, "to": last, "precision": "full"},
            headers=coingecko.headers(context.settings),
            judge=coingecko.judge,
        )
    except PermanentError as error:
        if error.context.get("status") != _NOT_FOUND:
            raise
        body, status, count = b"{}", _NOT_FOUND, 0
    else:
        body, status, count = response.body, response.status, _count(response.body)
    return Page(
        request=f"GET {path}?from={first}&to={last}",
        body=body,
        status=status,
        media_type="application/json",
        checkpoint={},
        item_count=count,
        fetched_at=context.clock.now(),
    )


def _count(body: bytes) -> int:
    """Count the points of an answer that has just come in.

    Raises:
        TransientError: If it is no chart; asking again may mend that.
    """
    try:
        return len(_CHART.decode(body).prices)
    except json_pages.BROKEN_JSON as exc:
        raise TransientError("CoinGecko's answer is not a chart") from exc


def _chart(page: Page) -> _Chart:
    try:
        return _CHART.decode(page.body)
    except json_pages.BROKEN_JSON as exc:
        raise UnreadablePageError(f"The page is not a chart: {exc}") from exc


def _items(coin: str, chart: _Chart, fetched_at: datetime | None) -> Iterable[Item]:
    settled_ms = math.inf if fetched_at is None else (fetched_at - UNSETTLED - _EPOCH) / _MS
    caps, volumes = dict(chart.market_caps), dict(chart.total_volumes)
    null = msgspec.Raw(b"null")
    context = {"fetched_at": fetched_at}
    for at_ms, price in sorted(chart.prices, key=lambda point: point[0]):
        if at_ms <= settled_ms:
            figures = (price, caps.get(at_ms, null), volumes.get(at_ms, null))
            yield Item(coin, b"[%d,%s]" % (at_ms, b",".join(map(bytes, figures))), context)
