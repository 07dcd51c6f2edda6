"""What more processes, a longer history and the messages themselves cost an ingest."""

import time
from collections.abc import Mapping
from functools import partial

import redis

from tests.benchmarks import plain_celery
from tests.benchmarks.figures import Figure, Goal, alternating, ratios
from tests.benchmarks.ingest import verify, working
from tests.benchmarks.stand import Market, Stand, say
from tests.support.processes import running, wait_until

FEW = 10_000
_SLOWER = 1.1
_MESSAGES = 200
_PROCESSES = ((2, 1), (4, 2))
_FILL = """
insert into quote_history (asset_id, source, external_id, observed_at, price_usd)
select q.asset_id, q.source, q.external_id,
  date_trunc('month', now()) + (now() - date_trunc('month', now())) * k / (:each + 1), k
from quotes q cross join generate_series(1, :each) k
where q.external_id in (select external_id from quotes order by 1 limit :coins)
on conflict do nothing
"""


def measure(stand: Stand, *, coins: int, history: int, repetitions: int) -> list[Goal]:
    """Measure I6 with every coin changed in every run."""
    stand.empty()
    with stand.market(coins) as market:
        found = _by_processes(stand, market, repetitions)
        return [*found, *_by_history(stand, market, history, repetitions), _by_message(stand)]


def _rate(stand: Stand, market: Market, *, processes: int = 2) -> float:
    """Return records a second of a worker that has done every stage before, as a service has."""
    with working(stand, market, concurrency=processes) as ours:
        for _ in range(2):
            market.advance()
            ours.run()
        market.advance()
        stand.rows("checkpoint")
        rate = market.coins / ours.run().seconds
        verify(stand, market, "changed")
    return rate


def _by_processes(stand: Stand, market: Market, repetitions: int) -> list[Goal]:
    sides = {
        processes: partial(_rate, stand, market, processes=processes) for processes in (1, 2, 4)
    }
    rates = alternating(sides, repetitions=repetitions)
    for processes, found in rates.items():
        say(f"  I6 {processes} processes {Figure.of(found).median:.0f} records/s")
    return [
        _goal(market, rates, more=more, fewer=fewer, of="processes") for more, fewer in _PROCESSES
    ]


def _goal(
    market: Market, rates: Mapping[int, list[float]], *, more: int, fewer: int, of: str
) -> Goal:
    return Goal(
        number="I6",
        work=f"{market.coins:,} records, changed: {more:,} {of} over {fewer:,}",
        ratio=ratios(rates[more], rates[fewer]),
        at_least=1 / _SLOWER,
        detail={f"{count:,}, records/s": Figure.of(rates[count]) for count in (more, fewer)},
    )


def _by_history(stand: Stand, market: Market, many: int, repetitions: int) -> list[Goal]:
    sides = {rows: partial(_rate_after, stand, market, rows) for rows in (FEW, many)}
    rates = alternating(sides, repetitions=repetitions)
    for rows, found in rates.items():
        say(f"  I6 {rows:,} rows of history {Figure.of(found).median:.0f} records/s")
    return [_goal(market, rates, more=many, fewer=FEW, of="rows of history")]


def _rate_after(stand: Stand, market: Market, rows: int) -> float:
    stand.rows("truncate quote_history")
    each = max(rows // market.coins, 1)
    stand.rows(_FILL, each=each, coins=rows // each)
    stand.rows("vacuum analyze quote_history")
    return _rate(stand, market)


def _by_message(stand: Stand) -> Goal:
    """Hold what messages cost by themselves against the run they belong to."""
    seconds, messages = stand.rows(
        "select extract(epoch from r.finished_at - r.queued_at), count(*)"
        " from etl_runs r join run_events e using (run_id) where e.event like '%_started'"
        " and r.run_id = (select run_id from etl_runs order by queued_at desc limit 1)"
        " group by 1"
    )[0]
    each = _seconds_of_a_message(stand)
    return Goal(
        number="I6",
        work="what the messages of such a run cost by themselves, of the run",
        ratio=Figure.of([100 * each * messages / float(seconds)]),
        at_most=5,
        unit="%",
        detail={
            "messages": Figure.of([messages]),
            "a message, s": Figure.of([each]),
            "the run, s": Figure.of([float(seconds)]),
        },
    )


def _seconds_of_a_message(stand: Stand) -> float:
    """Return how long one process takes to be sent, and to do, a task that does next to nothing."""
    client, log = redis.Redis.from_url(stand.redis_url), stand.log / "messages.log"
    plain_celery.app.conf.broker_url = stand.redis_url
    arguments = ["-m", "celery", "-A", "tests.benchmarks.plain_celery", "worker", "-c", "1"]
    arguments += ["-Q", "bench", "--without-gossip", "--without-mingle", "-l", "INFO"]
    with running(arguments, {"BENCH_REDIS_URL": stand.redis_url}, log):
        wait_until(lambda: b"ready." in log.read_bytes(), timeout_s=60, what="plain worker")
        client.delete(plain_celery.STARTED)
        began_s = time.perf_counter()
        for _ in range(_MESSAGES):
            plain_celery.note.apply_async()
        wait_until(
            lambda: client.llen(plain_celery.STARTED) == _MESSAGES, timeout_s=60, what="messages"
        )
        return (time.perf_counter() - began_s) / _MESSAGES
