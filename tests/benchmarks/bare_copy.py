"""The limit: COPY of the rows that our run has just made, and nothing else."""

import io
import time

from tests.benchmarks import processor
from tests.benchmarks.stand import Stand

# What a run leaves of a record: its raw item, its quote, its observation.
_TABLES = {
    "bare_raw": "select external_id, payload, ingested_at from raw_coingecko",
    "bare_quotes": "select source, external_id, asset_id, symbol, name, rank, price_usd,"
    " market_cap_usd, volume_24h_usd, percent_change_24h, observed_at, digest from quotes",
}


def measure(stand: Stand, records: int) -> float:
    """Return the processor microseconds a record of copying raw and unified rows into new tables.

    The raw items as one JSONB row each, keyed, the way such systems keep them; the quotes keyed
    as ours are.
    """
    texts = {name: _prepare(stand, name, query) for name, query in _TABLES.items()}
    stand.rows("checkpoint")
    own, server = time.process_time(), processor.used_s(stand.postmaster)
    for name, content in texts.items():
        _copy(stand, f"copy {name} from stdin", content)
    used = time.process_time() - own + processor.used_s(stand.postmaster) - server
    for name in texts:
        if stand.value(f"select count(*) from {name}") < records:
            raise AssertionError(f"{name} is not complete")
        stand.rows(f"drop table {name}")
    return used / records * 1e6


def _prepare(stand: Stand, name: str, query: str) -> io.BytesIO:
    stand.rows(f"drop table if exists {name}")
    stand.rows(f"create table {name} as {query} with no data")
    key = "external_id" if name == "bare_raw" else "source, external_id"
    stand.rows(f"alter table {name} add primary key ({key})")
    content = io.BytesIO()
    connection = stand.engine.raw_connection()
    try:
        with connection.cursor() as cursor:
            cursor.copy_expert(f"copy ({query}) to stdout", content)
    finally:
        connection.close()
    content.seek(0)
    return content


def _copy(stand: Stand, statement: str, content: io.BytesIO) -> None:
    connection = stand.engine.raw_connection()
    try:
        with connection.cursor() as cursor:
            cursor.copy_expert(statement, content)
        connection.commit()
    finally:
        connection.close()
