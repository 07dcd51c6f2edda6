"""What is really what: for judging the step that decides which labels mean one asset."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tasks.simulator.coins import Coin, Label
from tasks.simulator.csv_files import csv_coins
from tasks.simulator.market import Market
from tasks.simulator.news import entries


class Identity(NamedTuple):
    """One true coin under every name it is served under; None where a source does not serve it.

    Attributes:
        csv: Symbol and name in the CSV files, which carry the id of CoinGecko or none.
        kind: As in :class:`tasks.simulator.coins.Coin`.
    """

    coingecko: Label | None
    coinpaprika: Label | None
    csv: tuple[str, str] | None
    kind: str


def identities(market: Market, csv_rows: int | None = None) -> list[Identity]:
    """Return every coin that at least one source serves, the largest first."""
    here, there = ({c.index for c in market.listed[v]} for v in ("coingecko", "coinpaprika"))
    in_csv = {coin.index for coin in csv_coins(market, csv_rows or market.config.csv_rows)}
    return [
        Identity(
            coingecko=coin.coingecko if coin.index in here else None,
            coinpaprika=coin.coinpaprika if coin.index in there else None,
            csv=(coin.coingecko.symbol.upper(), coin.coingecko.name.strip())
            if coin.index in in_csv and coin.coingecko
            else None,
            kind=coin.kind,
        )
        for coin in market.coins
        if coin.index in here or coin.index in there
    ]


def news_mentions(market: Market, feed: str, tick: int) -> dict[str, tuple[str, ...]]:
    """Return title to the CoinGecko ids of the coins that the entry is about."""
    return {entry.title: entry.mentions for entry in entries(market, feed, tick)}


_PAIR = (
    "coingecko_id", "coingecko_symbol", "coingecko_name", "coinpaprika_id", "coinpaprika_symbol",
    "coinpaprika_name", "label", "evidence", "notes",
)  # fmt: skip
_LEFT = ("id", "symbol", "name", "contracts", "market_cap_rank", "price_usd", "price_date")
_RIGHT = (
    "id",
    "symbol",
    "name",
    "name_source",
    "type",
    "is_active",
    "rank",
    "price_usd",
    "price_date",
)


def write_pairs(market: Market, directory: Path) -> tuple[Path, Path, Path]:
    """Write ``pairs.csv``, ``left.csv`` and ``right.csv`` and return their paths.

    Left is CoinGecko's list, right CoinPaprika's, with the prices of the present tick. Pairs are
    labelled ``same`` or ``different``; the latter are coins that share a ticker and are not one.
    """
    tick = market.timeline.tick()
    directory.mkdir(parents=True, exist_ok=True)
    paths = (directory / "pairs.csv", directory / "left.csv", directory / "right.csv")
    _write(paths[0], _PAIR, _pairs(market))
    _write(paths[1], _LEFT, _universe(market, "coingecko", tick))
    _write(paths[2], _RIGHT, _universe(market, "coinpaprika", tick))
    return paths


def _pairs(market: Market) -> Iterator[tuple[object, ...]]:
    rivals: dict[str, list[Coin]] = defaultdict(list)
    for coin in market.listed["coinpaprika"]:
        if coin.coinpaprika:
            rivals[coin.coinpaprika.symbol].append(coin)
    served = {coin.index for coin in market.listed["coinpaprika"]}
    for coin in market.listed["coingecko"]:
        if coin.coingecko is None:
            continue
        if coin.coinpaprika and coin.index in served:
            yield *coin.coingecko, *coin.coinpaprika, "same", "simulator", coin.kind
        for rival in rivals.get(coin.coingecko.symbol.upper(), ()):
            if rival.index != coin.index and rival.coinpaprika:
                yield *coin.coingecko, *rival.coinpaprika, "different", "simulator", coin.kind


def _universe(market: Market, vendor: str, tick: int) -> Iterator[tuple[object, ...]]:
    today = market.timeline.day(tick)
    for rank, sight in enumerate(market.board(vendor, tick).sights, 1):
        price = "" if sight.price is None else repr(sight.price)
        if vendor == "coingecko":
            yield *sight.label, sight.coin.contract.lower(), rank, price, today
        else:
            kind = "token" if sight.coin.contract else "coin"
            yield *sight.label, "capture", kind, "1", rank, price, today


def _write(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
