"""The real CoinGecko connector over answers that a test writes down."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from tasks.sources.base import Fetched, Page
from tasks.sources.coingecko import CoinGecko

DOCUMENTED: dict[str, Any] = {
    "id": "",
    "symbol": "",
    "name": "",
    "image": "https://images.example/coin.png",
    "current_price": 1.5,
    "market_cap": 1000,
    "market_cap_rank": 1,
    "fully_diluted_valuation": None,
    "total_volume": 10,
    "high_24h": 2,
    "low_24h": 1,
    "price_change_24h": 0.1,
    "price_change_percentage_24h": 0.5,
    "market_cap_change_24h": 1.0,
    "market_cap_change_percentage_24h": 0.1,
    "circulating_supply": 5.0,
    "total_supply": None,
    "max_supply": None,
    "ath": 3,
    "ath_change_percentage": -1.0,
    "ath_date": "2025-01-01T00:00:00.000Z",
    "atl": 0.1,
    "atl_change_percentage": 9.0,
    "atl_date": "2020-01-01T00:00:00.000Z",
    "roi": None,
    "last_updated": "2026-01-01T00:00:00.000Z",
}


def market(identifier: str, price: Any = 1.5, **fields: Any) -> dict[str, Any]:
    """One coin as the vendor documents it."""
    named = {"id": identifier, "symbol": identifier[:4], "name": identifier.title()}
    return DOCUMENTED | named | {"current_price": price} | fields


def renamed(item: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """The same item with a field under another name, in its old place."""
    return {new if name == old else name: value for name, value in item.items()}


class ScriptedMarkets(CoinGecko):
    """Answers with its pages, one a request."""

    def __init__(self, *pages: Any) -> None:
        self.pages = list(pages)
        self.calls = 0

    def fetch(self, context: Any, cursor: Any) -> Fetched:
        number = (cursor or {"page": 1})["page"]
        items = self.pages[number - 1]
        self.calls += 1
        page = Page(
            request=f"GET /coins/markets?page={number}",
            body=items if isinstance(items, bytes) else msgspec.json.encode(items),
            media_type="application/json",
            checkpoint={"pages": number},
            item_count=len(items),
            fetched_at=datetime(2026, 1, 1, 0, 1, self.calls, tzinfo=UTC),
        )
        more = {"page": number + 1} if number < len(self.pages) else None
        return Fetched(pages=(page,), next_cursor=more)
