"""CoinGecko's words: ``/coins/markets`` and its neighbours."""

import math
from collections.abc import Callable, Mapping

from tasks.simulator.answers import Answer, Request, as_json, error, refusal, text
from tasks.simulator.coingecko_items import WINDOWS_S, ItemWriter
from tasks.simulator.market import Market, Sight

PREFIX = "/api/v3"
PER_PAGE_MAX = 250
HEADERS = {
    "Cache-Control": "max-age=30, public, must-revalidate, s-maxage=60",
    "Access-Control-Expose-Headers": "link, per-page, total",
    "Vary": "Accept-Encoding, Origin",
}
_DAY_MS = 86_400_000
_YEAR_MS = 365 * _DAY_MS
_ORDERS: dict[str, tuple[Callable[[Sight], float | str], bool]] = {
    "market_cap_asc": (lambda sight: sight.market_cap, False),
    "volume_asc": (lambda sight: sight.volume, False),
    "volume_desc": (lambda sight: sight.volume, True),
    "id_asc": (lambda sight: sight.label.external_id, False),
    "id_desc": (lambda sight: sight.label.external_id, True),
}
Ranked = tuple[Sight, int | None]


class CoinGecko:
    """Answers as the vendor's public API does, from the market at a tick."""

    def __init__(self, market: Market) -> None:
        """Take the market; ``seams`` are rank moves between two requests, see :meth:`shift`."""
        self._market = market
        self._writer = ItemWriter(market)
        self._seams: set[int] = set()
        self._ranked: tuple[tuple[int, tuple[int, ...]], list[Ranked]] = ((-1, ()), [])

    @property
    def state(self) -> tuple[int, ...]:
        """What an answer depends on besides the request and the tick."""
        return tuple(sorted(self._seams))

    def shift(self, request: Request) -> None:
        """Let the last coin of the page before this one and the first of this one change places.

        Who has read the page before now sees one coin twice and misses another. It stays so until
        :meth:`settle`, hence reading the page before again shows the one that was missed.
        """
        self._seams.add((request.page - 1) * _per_page(request.query))

    def settle(self) -> None:
        """Take back every rank move."""
        self._seams.clear()

    def answer(self, request: Request, tick: int) -> Answer:
        """Answer any path below the prefix."""
        match request.path.removeprefix(PREFIX).strip("/").split("/"):
            case ["ping"]:
                return as_json({"gecko_says": "(V3) To the Moon!"})
            case ["coins", "list"]:
                return self._list(request.query)
            case ["coins", "markets"]:
                return self._markets(request.query, tick)
            case parts:
                return self._one(parts, request.query, tick)

    def _one(self, parts: list[str], query: Mapping[str, str], tick: int) -> Answer:
        match parts:
            case ["coins", *middle, "market_chart"] if middle:
                return self._chart("/".join(middle), query, tick)
            case ["coins", *middle, "market_chart", "range"] if middle:
                return self._chart_range("/".join(middle), query, tick)
            case _:
                return error("Incorrect path. Please check https://www.coingecko.com/api/", 404)

    def _list(self, query: Mapping[str, str]) -> Answer:
        platforms = query.get("include_platform") == "true"
        entries: list[dict[str, object]] = []
        for coin in self._market.known("coingecko"):
            label = coin.coingecko
            if label is None:
                continue
            entry: dict[str, object] = dict(zip(("id", "symbol", "name"), label, strict=True))
            if platforms:
                platform, _, address = coin.contract.partition("=")
                entry["platforms"] = {platform: address} if platform else {}
            entries.append(entry)
        return as_json(entries)

    def _markets(self, query: Mapping[str, str], tick: int) -> Answer:
        currency = query.get("vs_currency")
        if not currency:
            return refusal("coingecko", 422)
        if currency.lower() != "usd":
            return error("invalid vs_currency", 422)
        windows = [w for w in query.get("price_change_percentage", "").split(",") if w]
        if any(window not in WINDOWS_S for window in windows):
            return error("invalid price_change_percentage", 422)
        per_page = _per_page(query)
        first = (max(1, _number(query, "page", 1)) - 1) * per_page
        chosen = self._ordered(query, tick)
        rows = chosen[first : first + per_page]
        windows.sort()
        items = [self._writer.write(sight, rank, windows, tick) for sight, rank in rows]
        answer = text(f"[{','.join(items)}]")
        total = {"Total": str(len(chosen)), "Per-Page": str(per_page)}
        return Answer(body=answer.body, headers={**answer.headers, **total})

    def _ordered(self, query: Mapping[str, str], tick: int) -> list[Ranked]:
        ranked = self._by_rank(tick)
        if "ids" in query:
            wanted = set(query["ids"].split(","))
            ranked = [row for row in ranked if row[0].label.external_id in wanted]
        key, reverse = _ORDERS.get(query.get("order", ""), (None, False))
        if key is not None:
            ranked = sorted(ranked, key=lambda row: key(row[0]), reverse=reverse)
        return ranked

    def _by_rank(self, tick: int) -> list[Ranked]:
        """Return the whole list, made once for a tick and its rank moves."""
        version = (tick, self.state)
        if self._ranked[0] != version:
            sights = list(self._market.board("coingecko", tick).sights)
            for seam in self._seams:
                if 0 < seam < len(sights):
                    sights[seam - 1], sights[seam] = sights[seam], sights[seam - 1]
            self._ranked = (version, _with_ranks(sights))
        return self._ranked[1]

    def _chart(self, external_id: str, query: Mapping[str, str], tick: int) -> Answer:
        if "days" not in query:
            return error("Missing parameter days", 422)
        now_ms = self._market.timeline.now_ms()
        days = 365.0 if query["days"] == "max" else _moment(query["days"])
        if days is None:
            return error("Invalid days", 422)
        return self._series(external_id, (now_ms - int(days * _DAY_MS), now_ms), query, tick)

    def _chart_range(self, external_id: str, query: Mapping[str, str], tick: int) -> Answer:
        for name in ("from", "to"):
            if name not in query:
                return error(f"Missing parameter {name}", 422)
        start, end = _moment(query["from"]), _moment(query["to"])
        if start is None or end is None:
            return error("Invalid date range", 422)
        return self._series(external_id, (int(start * 1000), int(end * 1000)), query, tick)

    def _series(
        self, external_id: str, span_ms: tuple[int, int], query: Mapping[str, str], tick: int
    ) -> Answer:
        coin = self._market.find("coingecko", external_id)
        if coin is None:
            return error("coin not found", 404)
        if not query.get("vs_currency"):
            return refusal("coingecko", 422)
        now_ms = self._market.timeline.now_ms()
        paid = self._market.config.coingecko_plan == "pro"
        if not paid and span_ms[0] < now_ms - _YEAR_MS - 60_000:
            return refusal("coingecko", 401, "nested")
        series: dict[str, list[tuple[int, float]]] = {
            "prices": [], "market_caps": [], "total_volumes": []
        }  # fmt: skip
        for moment_ms in _moments(span_ms[0], min(span_ms[1], now_ms), now_ms):
            then = tick if moment_ms >= now_ms else min(self._market.timeline.at(moment_ms), tick)
            sight = self._market.sight("coingecko", coin, then)
            if sight.price is not None:
                series["prices"].append((moment_ms, sight.price))
                series["market_caps"].append((moment_ms, sight.market_cap))
                series["total_volumes"].append((moment_ms, sight.volume))
        return as_json(series)


def _with_ranks(sights: list[Sight]) -> list[Ranked]:
    return [
        (sight, None if sight.price is None else place) for place, sight in enumerate(sights, 1)
    ]


def _per_page(query: Mapping[str, str]) -> int:
    return min(PER_PAGE_MAX, max(1, _number(query, "per_page", 100)))


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    written = query.get(name, "")
    return int(written) if written.isdecimal() else default


def _moment(written: str) -> float | None:
    try:
        number = float(written)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _moments(start_ms: int, end_ms: int, now_ms: int) -> list[int]:
    """Return the vendor's grid: 5 minutes up to a day, hours up to 90 days, else days; then now."""
    span_ms = end_ms - start_ms
    step_ms = 300_000 if span_ms <= _DAY_MS else 3_600_000
    step_ms = _DAY_MS if span_ms > 90 * _DAY_MS else step_ms
    first = -(-start_ms // step_ms) * step_ms
    grid = list(range(first, end_ms + 1, step_ms))
    return [*grid, end_ms] if end_ms >= now_ms and (not grid or grid[-1] < end_ms) else grid
