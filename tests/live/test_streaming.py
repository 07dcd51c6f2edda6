"""Exports larger than the memory they may take."""

import re
import zlib
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.support import live
from tests.support.processes import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
ROWS = 100_000
MORE_MB = 25  # of a worker's own memory, for exports of more than 40 MB
_FILL = """
insert into assets (wire_id, slug_id, ticker, name, rank, price_usd, market_cap_usd, source,
  sources, sources_used, updated_at, ingested_at, observed_at)
select 'T' || n, 'T' || n || '~token-' || n, 'T' || n, 'Token ' || n, n, n / 7.0, n * 1000,
  'coingecko', '{coingecko,coinpaprika}', '{coingecko}', now(), now(), now()
from generate_series(1, :rows) n
"""


def fill(database_url: str, rows: int) -> None:
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(_FILL), {"rows": rows})
        connection.execute(text("vacuum analyze assets"))
    engine.dispose()


@pytest.fixture(scope="module")
def api(databases, servers, tmp_path_factory):
    with databases.cloned() as url:
        fill(url, ROWS)
        addresses = {**servers, "DATABASE_URL": url, "GUNICORN_CMD_ARGS": "--workers 1"}
        with live.served(addresses, tmp_path_factory.mktemp("api")) as api:
            yield api


def peak_mb(api) -> float:
    """The most memory that the one worker has had so far."""
    arbiter = api.process.pid
    (worker,) = Path(f"/proc/{arbiter}/task/{arbiter}/children").read_text().split()
    status = Path(f"/proc/{worker}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def read(api, path: str, **headers: str) -> tuple[int, int]:
    """Read an answer to its end; return its bytes and its lines."""
    inflate = zlib.decompressobj(wbits=31) if headers else None
    size = lines = 0
    with api.opened(path, **headers) as response:
        assert response.status == 200
        while chunk := response.read(1 << 16):
            chunk = inflate.decompress(chunk) if inflate else chunk
            size += len(chunk)
            lines += chunk.count(b"\n")
    return size, lines


@pytest.mark.parametrize(
    ("path", "lines", "headers"),
    [
        ("/data?format=csv", ROWS + 1, {}),
        ("/data?format=ndjson", ROWS, {}),
        ("/data?format=ndjson&sort=-price_usd", ROWS, {"Accept_Encoding": "gzip"}),
    ],
    ids=str,
)
def test_an_export_of_any_size_takes_little_memory(api, path, lines, headers):
    read(api, f"{path}&limit=2000", **headers)
    before = peak_mb(api)
    size, found = read(api, path, **headers)
    assert found == lines
    assert size > 20_000_000
    assert peak_mb(api) - before < MORE_MB


def test_who_hangs_up_leaves_nothing_behind(api):
    """Its place is free again as soon as the server notices, and no transaction stays open."""
    for _ in range(5):
        with api.opened("/data?format=csv") as response:
            assert response.read(1000)
    wait_until(lambda: _lines(api) == 11, timeout_s=30, what="a free place")


def _lines(api) -> int:
    """Return the lines of a small export; none while there is no place for it."""
    with api.opened("/data?format=csv&limit=10") as response:
        return response.read().count(b"\n") if response.status == 200 else 0
