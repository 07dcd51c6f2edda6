"""The API against what people would serve such a table with, over the same rows."""

import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import requests

from tests.benchmarks import peering
from tests.benchmarks.figures import Figure, Goal, alternating, ratios
from tests.benchmarks.stand import Stand, free_port, say
from tests.support.processes import wait_until

CONNECTIONS = 8
_SECONDS, _LONGER = 1, 4
_ENOUGH = 3 * CONNECTIONS
"""Answers below which a measurement is made again, longer."""
# Every request differs in a way that no list is sorted or filtered by, so no answer is kept.
_UNCACHED = """
local n = 0
local prefix = tostring(os.time()) .. tostring(math.random(1000000000))
request = function()
  n = n + 1
  return wrk.format("GET", nil, {["Accept"] = "application/json, x-n/" .. prefix .. n})
end
"""
# The other side orders by rank; whoever writes such a service has an index on it.
_ROWS = """
insert into assets (wire_id, slug_id, ticker, name, coin_id, rank, price_usd, market_cap_usd,
  volume_24h_usd, percent_change_24h, source, sources, sources_used, price_spread_pct, confidence,
  observed_at, ingested_at, updated_at)
select 'T' || n, 'T' || n || '~coin-' || n, 'T' || n, 'Coin number ' || n, 'coin-' || n, n,
  round((1e6 / n)::numeric, 12), round((1e12 / n)::numeric, 2), round((1e10 / n)::numeric, 2),
  round((n % 2000 / 100.0 - 10)::numeric, 5), 'coingecko', '{coingecko,coinpaprika}',
  '{coingecko,coinpaprika}', 0.1234, 0.93, now(), now(), now()
from generate_series(1, :rows) n;
insert into quotes (source, external_id, asset_id, symbol, name, rank, price_usd, market_cap_usd,
  volume_24h_usd, percent_change_24h, observed_at, digest, use)
select 'coingecko', coin_id, asset_id, lower(ticker), name, rank, price_usd, market_cap_usd,
  volume_24h_usd, percent_change_24h, now(), decode(md5(coin_id), 'hex'), 'used' from assets;
create index if not exists bench_by_rank on assets (rank, asset_id);
insert into data_versions (topic, version, rows) values ('data', 1, :rows)
  on conflict (topic) do update set rows = excluded.rows;
"""


def fill(stand: Stand, rows: int) -> None:
    """Put so many published assets and their quotes in the tables."""
    stand.empty()
    for statement in _ROWS.split(";\n"):
        if statement.strip():
            stand.rows(statement, rows=rows)
    stand.rows("vacuum analyze assets")
    stand.rows("vacuum analyze quotes")


def requests_per_s(
    stand: Stand, url: str, *, cached: bool = True, headers: Mapping[str, str] | None = None
) -> float:
    """Return what wrk measures; every answer must be a good one.

    Raises:
        AssertionError: If any was not.
    """
    command = [url]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    if not cached:
        script = stand.directory / "uncached.lua"
        script.write_text(_UNCACHED)
        command += ["-s", str(script)]
    for seconds in (_SECONDS, _LONGER):
        _settle(stand)
        asked, answered = _wrk(command, seconds)
        if answered >= _ENOUGH:
            break
    if not answered:
        raise AssertionError(f"{url}: no answer within {_LONGER} s")
    return asked


def _wrk(command: list[str], seconds: int) -> tuple[float, int]:
    """Return requests per second and their number."""
    flags = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", f"{seconds}s"]
    said = subprocess.run(["wrk", *flags, *command], check=True, capture_output=True, text=True)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said.stdout)
    count = re.search(r"(\d+) requests in", said.stdout)
    if "Non-2xx" in said.stdout or rate is None or count is None:
        raise AssertionError(f"{command[0]}: {said.stdout}")
    return float(rate[1]), int(count[1])


def _settle(stand: Stand) -> None:
    """Wait until the database works on nothing: a slow side leaves queries behind."""
    busy = (
        "select count(*) from pg_stat_activity where state = 'active'"
        " and backend_type = 'client backend' and pid <> pg_backend_pid()"
    )
    wait_until(lambda: not stand.value(busy), timeout_s=120, what="the database is idle")


@contextmanager
def ours(stand: Stand) -> Iterator[str]:
    """Serve with the settings that are shipped: two workers of four threads."""
    port = free_port()
    arguments = ["-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
    arguments += ["--config", "python:service.gunicorn", "service.wsgi:app"]
    url = f"http://127.0.0.1:{port}"
    settings = stand.settings(None, LOG_LEVEL="WARNING")
    with stand.served(arguments, settings, f"{url}/health/live"):
        yield url


@contextmanager
def nothing(stand: Stand) -> Iterator[str]:
    """Serve a view that does nothing, on the same server."""
    port = free_port()
    arguments = ["-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
    arguments += ["--config", "python:service.gunicorn", "tests.benchmarks.noop_app:app"]
    url = f"http://127.0.0.1:{port}"
    with stand.served(arguments, stand.settings(None), f"{url}/data"):
        yield url


@contextmanager
def fastapi(stand: Stand) -> Iterator[str]:
    """Serve the reference with two workers."""
    port = free_port()
    database = f"postgresql+asyncpg://postgres@/bench?host={stand.socket}"
    command = [peering.program("uvicorn"), "fastapi_app:app", "--workers", "2"]
    command += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
    url = f"http://127.0.0.1:{port}"
    with stand.foreign(command, {"BENCH_DATABASE_URL": database}, f"{url}/data?limit=1"):
        yield url


@contextmanager
def datasette(stand: Stand) -> Iterator[str]:
    """Serve the same rows from SQLite, immutable."""
    port, file = free_port(), stand.directory / "assets.db"
    _to_sqlite(stand, file)
    command = [peering.program("datasette"), "serve", "--immutable", str(file)]
    command += ["--port", str(port), "--setting", "max_returned_rows", "1000"]
    # Suggesting facets took most of its time, and nobody compares that.
    command += ["--setting", "suggest_facets", "off"]
    url = f"http://127.0.0.1:{port}"
    with stand.foreign(command, {}, f"{url}/-/versions.json"):
        yield url


def _to_sqlite(stand: Stand, file: Path) -> None:
    names = [
        name
        for (name,) in stand.rows(
            "select column_name from information_schema.columns where table_name = 'assets'"
            " order by ordinal_position"
        )
    ]
    rows = stand.rows("select " + ", ".join(f'"{n}"::text' for n in names) + " from assets")
    file.unlink(missing_ok=True)
    with sqlite3.connect(file) as base:
        whole = {"asset_id", "rank"}
        columns = ", ".join(f'"{n}" {"integer" if n in whole else "text"}' for n in names)
        base.execute(f"create table assets ({columns})")
        places = ", ".join("?" * len(names))
        base.executemany(f"insert into assets values ({places})", map(tuple, rows))
        base.execute('create index by_rank on assets ("rank")')


def compare(stand: Stand, sides: dict[str, Callable[[], float]], repetitions: int) -> dict:
    """Warm each side up, then measure them in turn."""
    for measure in sides.values():
        measure()
    return alternating(sides, repetitions=repetitions)


def _goal(number: str, work: str, found: dict, at_least: float | None) -> Goal:
    (our_name, our), (their_name, their) = found.items()
    say(f"  {number} {work}: {Figure.of(our).median:.0f} against {Figure.of(their).median:.0f}")
    return Goal(
        number=number,
        work=work,
        ratio=ratios(our, their),
        at_least=at_least,
        detail={
            f"{our_name}, requests/s": Figure.of(our),
            f"{their_name}, requests/s": Figure.of(their),
        },
    )


def measure(stand: Stand, *, rows: int, repetitions: int) -> list[Goal]:
    """Measure A1, A2 and A4 on a small table."""
    fill(stand, rows)
    with ExitStack() as stack:
        api = stack.enter_context(ours(stand))
        reference = stack.enter_context(fastapi(stand))
        empty = stack.enter_context(nothing(stand))
        lake = stack.enter_context(datasette(stand))
        _verify(api, reference, rows)
        ask = partial(requests_per_s, stand)
        pairs = []
        small, large = "/data?limit=50", "/data?format=ndjson&limit=1000"
        for path, uncached, cached in ((small, 1.8, 5), (large, 4.5, 12)):
            theirs = partial(ask, reference + path)
            pairs += [
                ("A1", f"GET {path}, uncached", partial(ask, api + path, cached=False), theirs,
                 "FastAPI", uncached),
                ("A2", f"GET {path}, unchanged data", partial(ask, api + path), theirs,
                 "FastAPI", cached),
            ]  # fmt: skip
        tag = requests.get(api + small, timeout=10).headers["ETag"]
        again = requests.get(api + small, headers={"If-None-Match": tag}, timeout=10)
        if again.status_code != 304:
            raise AssertionError(f"{again.status_code} instead of 304")
        known = partial(ask, api + small, headers={"If-None-Match": tag})
        pairs.append(("A2", "304 against a no-op view", known, partial(ask, empty + "/data"),
                      "no-op Flask", 0.6))  # fmt: skip
        table = f"{lake}/assets/assets.json?_size=50&_sort=rank"
        shown = requests.get(table, timeout=10).json()["rows"]
        if len(shown) != 50:
            raise AssertionError(f"datasette shows {len(shown)} rows")
        pairs.append(("A4", "GET /data?limit=50, unchanged data", partial(ask, api + small),
                      partial(ask, table), "datasette", 4))  # fmt: skip
        return [
            _goal(number, f"{work}, {rows:,} assets",
                  compare(stand, {"ours": mine, other: theirs}, repetitions), wanted)
            for number, work, mine, theirs, other, wanted in pairs
        ]  # fmt: skip


def measure_large(stand: Stand, *, rows: int, repetitions: int) -> list[Goal]:
    """Measure A3: a table on which counting and skipping hurt."""
    fill(stand, rows)
    with ours(stand) as api, fastapi(stand) as reference:
        _verify(api, reference, rows)
        deep, symbol = rows // 2, f"T{rows // 3}"
        first = "/data?limit=50"
        cursor = requests.get(f"{api}/data?limit=50&offset={deep}", timeout=60).json()
        further = f"{first}&cursor={cursor['pagination']['next_cursor']}"
        ask = partial(requests_per_s, stand, cached=False)
        cases = (
            ("default page", first, first, 25),
            ("source= filter", f"{first}&source=coingecko", f"{first}&source=coingecko", 15),
            (f"page at depth {deep:,}", further, f"{first}&offset={deep}", 15),
            ("symbol=", f"/data?symbol={symbol}", f"/data?symbol={symbol}", 2),
        )
        found = []
        for work, mine, theirs, wanted in cases:
            sides = {"ours": partial(ask, api + mine), "FastAPI": partial(ask, reference + theirs)}
            measured = compare(stand, sides, repetitions)
            found.append(_goal("A3", f"{work}, {rows:,} assets, uncached", measured, wanted))
        sides = {"deep": partial(ask, api + further), "first": partial(ask, api + first)}
        measured = compare(stand, sides, repetitions)
        found.append(
            _goal("A3", f"page at depth {deep:,} over the first page, ours", measured, 1 / 1.3)
        )
        return found


def _verify(api: str, reference: str, rows: int) -> None:
    """Look whether both sides serve the same rows, and all of them are there."""
    mine = requests.get(f"{api}/data?limit=50&count=exact", timeout=60).json()
    theirs = requests.get(f"{reference}/data?limit=50", timeout=60).json()
    if not mine["total"] == theirs["total"] == rows:
        raise AssertionError(f"{mine['total']} and {theirs['total']} of {rows} rows")
    if [row["asset_id"] for row in mine["data"]] != [row["asset_id"] for row in theirs["data"]]:
        raise AssertionError("the two sides serve different rows")
