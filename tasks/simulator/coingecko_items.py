"""How CoinGecko writes one coin in ``/coins/markets``."""

from collections.abc import Sequence

import msgspec

from tasks.simulator import digits
from tasks.simulator.chance import mix
from tasks.simulator.coins import all_time_high
from tasks.simulator.market import Market, Sight
from tasks.simulator.timeline import iso

_IMAGES = "https://coin-images.coingecko.com/coins/images"
WINDOWS_S = {
    "1h": 3_600, "24h": 86_400, "7d": 604_800, "14d": 1_209_600, "30d": 2_592_000,
    "200d": 17_280_000, "1y": 31_536_000,
}  # fmt: skip


class ItemWriter:
    """Writes items as JSON text, remembering the parts that never change."""

    def __init__(self, market: Market) -> None:
        """Take the market for looks into the past."""
        self._market = market
        self._facts: dict[int, tuple[str, str, float, float]] = {}

    def write(self, sight: Sight, rank: int | None, windows: Sequence[str], tick: int) -> str:
        """Write one item; *windows* asks for further ``price_change_percentage_*_in_currency``."""
        head, tail, ath, atl = self._facts.get(sight.coin.index) or self._describe(sight)
        written = (
            head
            + _values(sight, rank)
            + tail.format(
                ath_change=_change(sight.price, ath), atl_change=_change(sight.price, atl)
            )
        )
        written += f',"last_updated":"{iso(sight.updated_ms, milliseconds=True)}"'
        for window in windows:
            change = self._window_change(sight, WINDOWS_S[window], tick)
            written += f',"price_change_percentage_{window}_in_currency":{change}'
        return written + "}"

    def _describe(self, sight: Sight) -> tuple[str, str, float, float]:
        """Write what never changes about a coin, once."""
        coin, label = sight.coin, sight.label
        bits = mix(self._market.config.seed, coin.index, 7)
        quoted = [msgspec.json.encode(part).decode() for part in label]
        slug = quoted[0].strip('"').replace(" ", "-")
        head = (
            f'{{"id":{quoted[0]},"symbol":{quoted[1]},"name":{quoted[2]},'
            f'"image":"{_IMAGES}/{coin.index + 1}/large/{slug}.png?{1_696_501_400 + coin.index}"'
        )
        ath = coin.price * all_time_high(coin)
        # One data point in the wild is so low that the change since is beyond a 32-bit float.
        atl = coin.price * (1.3e-37 if bits % 5_003 == 0 else 0.02 + bits % 89 / 110)
        fixed = (
            f',"ath":{digits.price(ath)},"ath_change_percentage":@1,'
            f'"ath_date":"{_past(bits % 1_400)}","atl":{digits.price(atl)},'
            f'"atl_change_percentage":@2,"atl_date":"{_past(1_400 + bits % 1_900)}",'
            f'"roi":{_roi(bits)}'
        )
        tail = fixed.replace("{", "{{").replace("}", "}}")
        tail = tail.replace("@1", "{ath_change}").replace("@2", "{atl_change}")
        facts = (head, tail, ath, atl)
        self._facts[coin.index] = facts
        return facts

    def _window_change(self, sight: Sight, seconds: int, tick: int) -> str:
        if sight.price is None or sight.stale:
            return "null"
        then = self._market.price(sight.coin, tick - seconds // self._market.config.tick_s)
        return digits.full((sight.price / then - 1) * 100)


def _values(sight: Sight, rank: int | None) -> str:
    """Write what changes from tick to tick, in the vendor's order."""
    price, before, supply, bits = sight.price, sight.before, sight.coin.supply, sight.coin.salt
    if price is None:
        moves = '"high_24h":null,"low_24h":null,"price_change_24h":null,' + _NO_CHANGES
        cap, fully = "0.0" if bits % 2 else "null", "null"
    else:
        cap, fully = str(round(sight.market_cap)), _fully_diluted(sight)
        moves = '"high_24h":null,"low_24h":null,"price_change_24h":null,' + _NO_CHANGES
        if not sight.stale:
            change = (price / before - 1) * 100
            moves = (
                f'"high_24h":{digits.price(max(price, before) * 1.004)},'
                f'"low_24h":{digits.price(min(price, before) * 0.996)},'
                f'"price_change_24h":{digits.full(price - before)},'
                f'"price_change_percentage_24h":{digits.percent(change)},'
                f'"market_cap_change_24h":{digits.full((price - before) * supply)},'
                f'"market_cap_change_percentage_24h":{digits.percent(change * 0.98)}'
            )
    volume = sight.volume
    return (
        f',"current_price":{"null" if price is None else digits.price(price)}'
        f',"market_cap":{cap},"market_cap_rank":{"null" if rank is None else rank}'
        f',"fully_diluted_valuation":{fully}'
        f',"total_volume":{digits.amount(volume)},{moves}'
        f',"circulating_supply":{digits.full(supply)},{_supplies(supply, bits)}'
    )


_NO_CHANGES = (
    '"price_change_percentage_24h":null,"market_cap_change_24h":null,'
    '"market_cap_change_percentage_24h":null'
)


def _fully_diluted(sight: Sight) -> str:
    missing = sight.coin.salt % 11 in {0, 1}
    return "null" if missing else str(round(sight.market_cap * 1.25))


def _supplies(supply: float, bits: int) -> str:
    total = "null" if bits % 23 == 0 else digits.full(supply * 1.25)
    most = "null" if bits % 13 in range(6) else digits.full(float(round(supply * 1.5)))
    return f'"total_supply":{total},"max_supply":{most}'


def _roi(bits: int) -> str:
    if bits % 5:
        return "null"
    times = bits % 100_003 / 1_000 - 0.957
    currency = ("usd", "usd", "eth", "btc")[bits % 4]
    return f'{{"times":{times!r},"currency":"{currency}","percentage":{times * 100!r}}}'


def _change(price: float | None, extreme: float) -> str:
    return "0.0" if price is None else digits.percent((price / extreme - 1) * 100)


def _past(days: int) -> str:
    return iso(1_735_689_600_000 - days * 86_398_077, milliseconds=True)
