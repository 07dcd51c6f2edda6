"""CSV files as people make them: two dialects, every quirk, no bad row unless asked for."""

from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

from tasks.simulator.coins import Coin
from tasks.simulator.market import Market, Sight
from tasks.simulator.timeline import iso

_BAD_ROWS = (
    ("not-a-price", "BAD1", "No Price Here", "abc", "1", "1", "0"),
    ("below-zero", "BAD2", "Negative", "-1.5", "1", "1", "0"),
    ("", "", "", "12.5", "1", "1", "0"),
)


def csv_coins(market: Market, rows: int) -> list[Coin]:
    """Return the coins the files speak of: the largest with a price, no symbol and name twice."""
    chosen: dict[tuple[str, str], Coin] = {}
    for coin in market.listed["coingecko"]:
        if coin.coingecko and coin.priced and len(chosen) < rows:
            label = coin.coingecko
            chosen.setdefault((label.symbol.upper(), label.name.strip()), coin)
    return list(chosen.values())


def write_csv(market: Market, directory: Path, *, rows: int = 500, bad_rows: int = 0) -> list[Path]:
    """Write ``prices.csv`` and ``legacy.csv`` with *rows* rows together; return their paths.

    ``prices.csv``: comma, LF, ids, thousands separators and ``$``, a column with quoted newlines,
    blank lines. ``legacy.csv``: byte order mark, ``;``, CRLF, no ids, percent signs. When there are
    more rows than coins, further rows are the days before, newest first.

    Args:
        market: Prices are those of its present tick.
        directory: Made if missing; files there of these names are replaced.
        rows: Rows without the header and blank lines.
        bad_rows: Rows besides that no reader should accept, at the end of ``prices.csv``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    coins = csv_coins(market, rows)
    modern = coins[::2]
    shares = (rows * len(modern) // len(coins), rows - rows * len(modern) // len(coins))
    paths = [directory / "prices.csv", directory / "legacy.csv"]
    with paths[0].open("w", encoding="utf-8", newline="") as file:
        file.write(
            "coin_id,symbol,name,price_usd,market_cap,volume_24h,percent_change_24h,date,note\n"
        )
        file.writelines(_rows(market, modern, shares[0], _modern))
        file.writelines(_bad(market, bad_rows))
    with paths[1].open("w", encoding="utf-8-sig", newline="") as file:
        file.write(
            "Symbol; Name ;Price;Market_Cap_USD;Volume_24h_USD;Price_Change_24h;Timestamp\r\n"
        )
        file.writelines(_rows(market, coins[1::2], shares[1], _legacy))
    return paths


def _rows(
    market: Market, coins: list[Coin], rows: int, write: Callable[[int, Sight], str]
) -> Iterator[str]:
    if not coins:
        return
    day = 86_400 // market.config.tick_s
    tick = market.timeline.tick()
    sights = (
        market.sight("coingecko", coin, tick - age * day) for age in count() for coin in coins
    )
    for place, sight in enumerate(islice(sights, rows)):
        yield write(place, sight)


def _modern(place: int, sight: Sight) -> str:
    label, price = sight.label, sight.price or 0.0
    written = f'"${price:,.2f}"' if price >= 1_000 else f"{price:.9g}"  # noqa: PLR2004 - where $ and commas begin
    cap = ("", "-", "N/A")[place % 3] if place % 40 == 39 else f'"{sight.market_cap:,.0f}"'  # noqa: PLR2004
    note = '"checked by hand,\nsee ""notes"""' if place % 25 == 7 else ""  # noqa: PLR2004
    blank = "\n" if place % 50 == 20 else ""  # noqa: PLR2004
    return (
        f"{_quoted(label.external_id)},{_quoted(label.symbol.upper())},{_quoted(label.name.strip())},"
        f"{written},{cap},{sight.volume:.4e},{_change(sight):+.2f}%,"
        f"{iso(sight.updated_ms, milliseconds=False)},{note}\n{blank}"
    )


def _legacy(place: int, sight: Sight) -> str:
    label, price = sight.label, sight.price or 0.0
    when = iso(sight.updated_ms, milliseconds=False).replace("T", " ").rstrip("Z")
    blank = "\r\n" if place % 60 == 30 else ""  # noqa: PLR2004
    return (
        f"{_quoted(label.symbol.upper())};{_quoted(label.name.strip())};"
        f"{price:.6e};{sight.market_cap:.2f};${sight.volume:,.2f};"
        f"{_change(sight):.3f} %;{when}\r\n{blank}"
    )


def _change(sight: Sight) -> float:
    return 0.0 if sight.price is None else (sight.price / sight.before - 1) * 100


def _bad(market: Market, bad_rows: int) -> Iterator[str]:
    when = iso(market.timeline.now_ms(), milliseconds=False)
    for place in range(bad_rows):
        yield ",".join((*_BAD_ROWS[place % len(_BAD_ROWS)], when, "")) + "\n"


def _quoted(cell: str) -> str:
    needs = any(mark in cell for mark in ',;"\n')
    return '"' + cell.replace('"', '""') + '"' if needs else cell
