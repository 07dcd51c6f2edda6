"""Forgetting: a month of history as one partition, against deleting its rows."""

import time

from tests.benchmarks.figures import Figure, Goal, ratios
from tests.benchmarks.stand import Stand, say

_MONTH = "2020-01-01"
_CREATE = (
    "create table quote_history_202001 partition of quote_history"
    " for values from ('2020-01-01') to ('2020-02-01')"
)
_FILL = """
insert into quote_history (asset_id, source, external_id, observed_at, price_usd)
select n % 1000, 'coingecko', 'coin-' || n % 1000, timestamptz '2020-01-01 00:00+00'
  + (n / 1000) * interval '5 minutes', n from generate_series(0, :rows - 1) n
"""


def measure(stand: Stand, *, rows: int, repetitions: int) -> list[Goal]:
    """Measure R1."""
    deleted, dropped, created = [], [], []
    for _ in range(repetitions):
        created.append(_filled(stand, rows))
        deleted.append(_timed(stand, "delete from quote_history where observed_at < '2020-02-01'"))
        stand.rows("drop table quote_history_202001")
        _filled(stand, rows)
        dropped.append(_timed(stand, "drop table quote_history_202001"))
    goal = Goal(
        number="R1",
        work=f"a month of history, {rows:,} rows: DELETE over dropping its partition",
        ratio=ratios(deleted, dropped),
        at_least=8,
        detail={
            "DELETE, s": Figure.of(deleted),
            "drop, s": Figure.of(dropped),
            "creating a partition, s": Figure.of(created),
        },
    )
    say(f"  R1 {goal.shown}")
    return [goal]


def _filled(stand: Stand, rows: int) -> float:
    """Make and fill the partition and return how long the making took."""
    took = _timed(stand, _CREATE)
    stand.rows(_FILL, rows=rows)
    if stand.value("select count(*) from quote_history_202001") != rows:
        raise AssertionError("the month is not complete")
    stand.rows("checkpoint")
    return took


def _timed(stand: Stand, statement: str) -> float:
    """Return the seconds of a statement with its commit, on a connection that is open already."""
    with stand.engine.connect() as connection:
        connection.exec_driver_sql("select 1")
        began_s = time.perf_counter()
        connection.exec_driver_sql(statement)
        return time.perf_counter() - began_s
