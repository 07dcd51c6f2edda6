"""Three sources as the world has them: two vendors over HTTP and a directory of files, and the API.

A test writes down what each of them says; runs take it through fetch, transform and load, and what
came of it is asked over HTTP.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from tasks.core.clock import system_clock
from tasks.core.settings import Settings
from tasks.sources import registry
from tasks.sources.gates import OpenGate
from tasks.sources.http import HttpLimits, RequestsHttpClient
from tests.support import upstreams
from tests.support.api import Api, exact, running
from tests.support.engine import Workbench, workbench
from tests.support.markets import market
from tests.support.upstreams import Upstream

VENDORS = ("coingecko", "coinpaprika")
SOURCES = (*VENDORS, "csv")

_DOCUMENTED = {"rank": 1, "total_supply": 5, "max_supply": 9, "beta_value": 1.1}
_SHARES = ("1h", "12h", "24h", "7d", "30d", "1y")
_FIGURES: dict[str, Any] = {
    "volume_24h": 10.0,
    "volume_24h_change_24h": 1.0,
    "market_cap_change_24h": 0.1,
    **{f"percent_change_{span}": 0.5 for span in _SHARES},
    "ath_price": 70_000,
    "ath_date": "2025-01-01T00:00:00Z",
    "percent_from_price_ath": -7.0,
}


def stamp(**ago: float) -> str:
    """A time before now, as vendors write it: ``stamp(minutes=5)``."""
    moment = datetime.now(UTC) - timedelta(**ago)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def ticker(identifier: str, price: Any, **fields: Any) -> dict[str, Any]:
    """One coin as CoinPaprika documents it."""
    at = fields.pop("last_updated", None) or stamp()
    usd = _FIGURES | {"price": price, "market_cap": fields.pop("market_cap", 1000)}
    named = {"symbol": identifier.partition("-")[0].upper(), "name": identifier.title()}
    return (
        _DOCUMENTED
        | {"id": identifier, "last_updated": at}
        | named
        | fields
        | {"quotes": {"USD": usd}}
    )


@dataclass
class Vendors:
    """The three sources, an engine and an API over one database."""

    bench: Workbench
    api: Api
    upstreams: Mapping[str, Upstream]
    directory: Path

    def coingecko(self, *coins: dict[str, Any]) -> str:
        """Let CoinGecko say this, and run it; return the run's status."""
        return self._answer("coingecko", coins)

    def coinpaprika(self, *coins: dict[str, Any]) -> str:
        """Let CoinPaprika say this, and run it; return the run's status."""
        return self._answer("coinpaprika", coins)

    def csv(self, *rows: str, header: str = "symbol,name,price,date", **options: Any) -> str:
        """Let one file say this, and run it; return the run's status."""
        (self.directory / "prices.csv").write_text("\n".join([header, *rows, ""]))
        return self.run("csv", **options)

    def run(self, source: str, **options: Any) -> str:
        """Run a source over what it said last."""
        return self.bench.status(self.bench.run(source, options=options))

    def row(self, **query: str) -> dict[str, Any]:
        """Return the one row of ``/data`` that a query finds."""
        (row,) = exact(self.api.get("/data", query_string=query))["data"]
        return row

    def inputs(self, asset_id: str) -> dict[str, dict[str, Any]]:
        """Return what ``/data/{id}/explain`` says of each source."""
        body = exact(self.api.get(f"/data/{asset_id}/explain"))
        return {item["source"]: item for item in body["inputs"]}

    def _answer(self, source: str, coins: tuple[dict[str, Any], ...]) -> str:
        replies = self.upstreams[source].replies
        replies.clear()
        replies.append(upstreams.answer(msgspec.json.encode(list(coins))))
        return self.run(source)


def bitcoin(price: Any, **fields: Any) -> dict[str, Any]:
    """CoinGecko's Bitcoin, dated now unless ``last_updated`` says otherwise."""
    named = {"symbol": "btc", "name": "Bitcoin", "last_updated": stamp()}
    return market("bitcoin", price, **named | fields)


@contextmanager
def running_vendors(settings: Settings) -> Iterator[Vendors]:
    """Yield the three sources over these settings, with nothing said yet."""
    directory = Path(settings.sources["csv"].path)
    directory.mkdir()
    with ExitStack() as stack:
        servers = {name: stack.enter_context(upstreams.running_upstream()) for name in VENDORS}
        there = {
            name: replace(settings.sources[name], base_url=server.url)
            for name, server in servers.items()
        }
        settings = replace(settings, sources=settings.sources | there)
        http = RequestsHttpClient("vendor", system_clock(), gate=OpenGate(), limits=HttpLimits())
        stack.callback(http.close)
        bench = stack.enter_context(workbench(settings, *map(registry.get, SOURCES)))
        bench.dependencies = replace(bench.dependencies, http_client=lambda _source: http)
        connectors = bench.dependencies.connectors
        api = stack.enter_context(running(settings, connectors=connectors))
        yield Vendors(bench, api, servers, directory)
