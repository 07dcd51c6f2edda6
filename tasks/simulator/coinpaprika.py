"""CoinPaprika's words: ``/v1/tickers`` and ``/v1/coins``."""

import msgspec

from tasks.simulator import digits
from tasks.simulator.answers import Answer, Request, as_json, refusal, text
from tasks.simulator.chance import mix
from tasks.simulator.coins import Coin, all_time_high
from tasks.simulator.market import Market, Sight
from tasks.simulator.timeline import iso

PREFIX = "/v1"
HEADERS = {"Cache-Control": "public, max-age=60", "Vary": "Accept-Encoding"}
_MINUTES = (
    ("15m", 15), ("30m", 30), ("1h", 60), ("6h", 360), ("12h", 720), ("24h", 1_440), ("7d", 10_080),
    ("30d", 43_200), ("1y", 525_600),
)  # fmt: skip
_BLANKED = {"30d", "1y"}
# Only the walk of the last day is known; that of another span is its share of a random walk.
_SHARES = tuple((name, (minutes / 1_440) ** 0.5) for name, minutes in _MINUTES)


class CoinPaprika:
    """Answers as the vendor's API does, from the market at a tick."""

    state: tuple[int, ...] = ()

    def __init__(self, market: Market) -> None:
        """Take the market."""
        self._market = market
        self._free = market.config.coinpaprika_plan == "free"
        self._facts: dict[int, tuple[str, str]] = {}
        self._shares = [
            (name, 0.0 if self._free and name in _BLANKED else share) for name, share in _SHARES
        ]

    def answer(self, request: Request, tick: int) -> Answer:
        """Answer any path below the prefix."""
        match request.path.removeprefix(PREFIX).strip("/").split("/", 1):
            case ["tickers"]:
                return self._tickers(tick)
            case ["tickers", external_id]:
                return self._ticker(external_id, tick)
            case ["coins"]:
                return self._coins(tick)
            case _:
                return refusal("coinpaprika", 404)

    def _tickers(self, tick: int) -> Answer:
        board = self._market.board("coinpaprika", tick)
        # The vendor's list is not sorted; the order is one that stays from tick to tick.
        placed = sorted(
            enumerate(board.sights, 1), key=lambda row: row[1].coin.index and mix(row[1].coin.index)
        )
        return text(f"[{','.join(self._item(sight, rank) for rank, sight in placed)}]")

    def _ticker(self, external_id: str, tick: int) -> Answer:
        coin = self._market.find("coinpaprika", external_id)
        if coin is None:
            return refusal("coinpaprika", 404)
        ranks = self._ranks(tick)
        sight = self._market.sight("coinpaprika", coin, tick)
        return text(self._item(sight, ranks.get(coin.index, coin.index + 1)))

    def _coins(self, tick: int) -> Answer:
        ranks = self._ranks(tick)
        return as_json(
            [
                {
                    **dict(zip(("id", "name", "symbol"), _reordered(coin), strict=True)),
                    "rank": ranks.get(coin.index, 0),
                    "is_new": coin.salt % 50 == 0,
                    "is_active": coin.index in ranks,
                    "type": "token" if coin.contract else "coin",
                }
                for coin in self._market.known("coinpaprika")
            ]
        )

    def _ranks(self, tick: int) -> dict[int, int]:
        sights = self._market.board("coinpaprika", tick).sights
        return {sight.coin.index: rank for rank, sight in enumerate(sights, 1)}

    def _item(self, sight: Sight, rank: int) -> str:
        head, tail = self._facts.get(sight.coin.index) or self._describe(sight.coin)
        supply = round(sight.coin.supply)
        known = sight.coin.salt % 4 > 0
        circulating = "" if self._free else f'"circulating_supply":{supply if known else 0},'
        return (
            f'{head}"rank":{rank},{circulating}{tail}'
            f'"last_updated":"{iso(sight.updated_ms, milliseconds=False)}",'
            f'"quotes":{{"USD":{{{self._quote(sight)}}}}}}}'
        )

    def _describe(self, coin: Coin) -> tuple[str, str]:
        external_id, name, symbol = (msgspec.json.encode(w).decode() for w in _reordered(coin))
        bits = mix(self._market.config.seed, coin.index, 11)
        supply = round(coin.supply)
        most = round(coin.supply * 1.5) if bits % 5 == 0 else 0
        beta = digits.short((bits % 20_001) / 10_000 - 0.5, 6)
        first = iso(1_735_689_600_000 - bits % 3_300 * 86_400_000, milliseconds=False)
        facts = (
            f'{{"id":{external_id},"name":{name},"symbol":{symbol},',
            (
                f'"total_supply":{supply},"max_supply":{most},"beta_value":{beta},'
                f'"first_data_at":"{first}",'
            ),
        )
        self._facts[coin.index] = facts
        return facts

    def _quote(self, sight: Sight) -> str:
        """Write the dollar quote; this vendor has no null, so 0 and "" mean nothing is known."""
        price, bits = sight.price or 0.0, sight.coin.salt
        day = (price / sight.before - 1) * 100 if price else 0.0
        unknown_cap = bits % 4 == 0
        changes = ",".join(
            f'"percent_change_{name}":{_short(day * share)}' for name, share in self._shares
        )
        ath = sight.coin.price * all_time_high(sight.coin)
        has_ath = bits % 80 > 0 and price > 0
        fallen = digits.short((price / ath - 1) * 100, 2) if has_ath else "0"
        at = iso(1_735_689_600_000 - bits % 1_400 * 86_400_000, milliseconds=False)
        return (
            f'"price":{digits.full(price) if price else 0},'
            f'"volume_24h":{digits.full(sight.volume) if price else 0},'
            f'"volume_24h_change_24h":{digits.short((bits % 9_000) / 100 - 40, 2)},'
            f'"market_cap":{0 if unknown_cap else round(sight.market_cap)},'
            f'"market_cap_change_24h":{_short(day)},{changes},'
            f'"ath_price":{digits.full(ath) if has_ath else 0},'
            f'"ath_date":"{at if has_ath else ""}","percent_from_price_ath":{fallen}'
        )


def _short(value: float) -> str:
    return digits.short(value, 2)


def _reordered(coin: Coin) -> tuple[str, str, str]:
    label = coin.coinpaprika
    if label is None:
        raise ValueError(f"coinpaprika does not know coin {coin.index}")
    return label.external_id, label.name, label.symbol
