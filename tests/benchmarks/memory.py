"""The worker's memory, over what it holds when idle, whatever the size of the source."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.benchmarks import processor
from tests.benchmarks.figures import Figure, Goal
from tests.benchmarks.ingest import Ingest, working
from tests.benchmarks.stand import Market, Stand, say

_MB = 1024 * 1024
_LIMIT_MB = 80
_COINS = 2_000


def measure(stand: Stand, *, few: int, many: int, answer: int) -> list[Goal]:
    """Measure I5, once each: the runs are long and their peaks do not spread."""
    peaks = {}
    nowhere = Market("http://127.0.0.1:9", 0)
    for rows in (few, many):
        stand.empty()
        _write(stand.csv / "coins.csv", rows)
        with working(stand, nowhere, concurrency=1) as ours:
            peaks[rows] = _peak_mb(stand, ours, "csv", rows)
    (stand.csv / "coins.csv").unlink()
    stand.empty()
    with (
        stand.market(10, coinpaprika=answer) as market,
        working(stand, market, concurrency=1) as ours,
    ):
        one = _peak_mb(stand, ours, "coinpaprika", answer)
    grown = peaks[many] / peaks[few]
    return [
        _goal(f"CSV of {many:,} rows: memory over idle", peaks[many], _LIMIT_MB, "MB"),
        _goal(f"CSV: {many:,} rows over {few:,} rows", grown, 1.1, "×"),
        _goal(f"one answer of {answer:,} records: memory over idle", one, _LIMIT_MB, "MB"),
    ]


def _goal(work: str, value: float, at_most: float, unit: str) -> Goal:
    say(f"  I5 {work}: {value:.2f} {unit}")
    return Goal(number="I5", work=work, ratio=Figure.of([value]), at_most=at_most, unit=unit)


def _peak_mb(stand: Stand, ours: Ingest, source: str, rows: int) -> float:
    """Return the highest memory during a run over that before it.

    The worker has not run anything before: what it imports and connects on first use counts too.
    """
    idle = processor.resident_bytes(ours.worker)
    with processor.PeakMemory(ours.worker) as peak:
        ours.run(source, timeout_s=900)
    found = stand.value("select count(*) from quotes where source = :source", source=source)
    history = stand.value(
        "select count(*) from quote_history where source = :source", source=source
    )
    expected = min(rows, _COINS) if source == "csv" else rows
    if found != expected or (source == "csv" and history != rows):
        raise AssertionError(f"{found} quotes and {history} observations of {rows} rows")
    return (peak.bytes - idle) / _MB


def _write(path: Path, rows: int) -> None:
    with path.open("w") as file:
        file.write("id,symbol,name,price_usd,market_cap_usd,volume_24h_usd,timestamp\n")
        file.writelines(_lines(rows))


def _lines(rows: int) -> Iterator[str]:
    """Yield an export of prices over time: every coin at one minute, then at the next."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for n in range(rows):
        coin, at = n % _COINS, start + timedelta(minutes=n // _COINS)
        price = f"{n + 1}.{n % 97:02}"
        yield f"coin-{coin},c{coin},Coin number {coin},{price},{n}000,{n}00,{at.isoformat()}\n"
