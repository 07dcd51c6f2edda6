"""Two at once: whoever waits for another gets its turn, and nobody waits in a circle."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tasks.core.errors import UnavailableError
from tasks.domain.records import Quote
from tasks.domain.runs import Stage
from tasks.pipeline import ageing
from tasks.store import partitions, staging
from tasks.store.staging import Staged, StagedPage
from tests.support.engine import ScriptedConnector, Workbench, coin, workbench
from tests.support.processes import wait_until

pytestmark = pytest.mark.integration

COINS = [coin(f"coin-{number}", "100") for number in range(20)]
NEXT = "2026-01-02T00:00:00Z"


@pytest.fixture
def sources():
    return [ScriptedConnector(name, pages=[COINS]) for name in ("coingecko", "coinpaprika")]


@pytest.fixture
def bench(settings, sources) -> Iterator[Workbench]:
    with workbench(settings, *sources) as bench:
        for source in sources:
            bench.run(source.name)
        yield bench


def brought_to_load(bench: Workbench, source: ScriptedConnector, price: str) -> Any:
    """Start a run with a new price of every coin and return its last message, the load's."""
    source.pages = [[coin(entry["id"], price, at=NEXT) for entry in COINS]]
    bench.start(source.name)
    load = None
    while bench.publisher.messages:
        message = bench.publisher.messages.pop(0)
        if message.stage is Stage.LOAD:
            load = message
        else:
            assert bench.step(message) is None
    return load


@contextmanager
def held(bench: Workbench, statement: str) -> Iterator[None]:
    """Hold the rows of a statement as somebody else would."""
    with bench.dependencies.engine.connect() as connection, connection.begin():
        connection.execute(text(statement))
        yield


def let_wait(pool: ThreadPoolExecutor, bench: Workbench, *work: Any) -> Future[Any]:
    """Do something in a thread of its own, and return when it waits for a lock."""
    waiting = "select count(*) as n from pg_stat_activity where wait_event_type = 'Lock'"
    before = bench.one(waiting).n
    future = pool.submit(*work)
    wait_until(lambda: bench.one(waiting).n > before, timeout_s=20, what="it waits for a lock")
    return future


def test_two_sources_load_the_same_assets_side_by_side(bench, sources):
    """The newer price of each makes the other's observation disagree, so each writes about both."""
    loads = [brought_to_load(bench, source, f"{9 + 4 * n}0") for n, source in enumerate(sources)]
    last = "select 1 from assets order by asset_id desc limit 1 for update"
    with ThreadPoolExecutor() as pool:
        with held(bench, last):
            waiting = [let_wait(pool, bench, bench.step, load) for load in loads]
        assert [future.result() for future in waiting] == [None, None]
    uses = bench.rows("select distinct source, price_usd, use_reason from quotes order by 1")
    assert [(row.source, row.price_usd) for row in uses] == [
        ("coingecko", 90),
        ("coinpaprika", 130),
    ]
    assert all("disagree" in row.use_reason for row in uses)


def test_prices_grow_old_while_others_are_loaded(bench, sources):
    sources[0].fresh_for_s = 1  # so all that it brought is stale by now
    load = brought_to_load(bench, sources[0], "130")
    last = "select 1 from assets order by asset_id desc limit 1 for update"
    with ThreadPoolExecutor() as pool:
        with held(bench, last):
            waiting = [
                let_wait(pool, bench, ageing.age, bench.dependencies),
                let_wait(pool, bench, bench.step, load),
            ]
        assert [future.result() for future in waiting] == [len(COINS), None]
    assert {row.use for row in bench.rows("select use from quotes where source = 'coingecko'")} == {
        "stale"
    }


def test_a_run_is_cancelled_while_it_is_loaded(bench, sources):
    load = brought_to_load(bench, sources[0], "110")
    last = "select 1 from staged_quotes order by item desc limit 1 for update"
    with ThreadPoolExecutor() as pool:
        with held(bench, last):
            loading = let_wait(pool, bench, bench.step, load)
            pool.submit(bench.cancel, load.run_id).result(timeout=10)
        assert loading.result() is None
    assert bench.status(load.run_id) == "cancelled"
    assert bench.one("select max(price_usd) as price from quotes").price == 100


def test_a_partition_is_made_once_by_two_who_want_it(bench):
    def make():
        with bench.dependencies.transaction() as made:
            return partitions.ensure_ahead(made, months=30)

    with ThreadPoolExecutor() as pool:
        with held(bench, "lock table quote_history_default in share row exclusive mode"):
            waiting = [let_wait(pool, bench, make) for _ in range(2)]
        assert sorted(future.result() for future in waiting) == [0, 2 * 28]


def test_a_copy_that_takes_too_long_is_an_outage(bench):
    """COPY goes past SQLAlchemy; what goes wrong there must look like anything else."""
    record = Quote("a", "a", "A", None, None, None, None, None, datetime.now(UTC))

    def many(copied):
        copied.execute(text("set local statement_timeout = '1ms'"))
        return (Staged(number, b"", record) for number in range(20_000))

    run_id = bench.one("select run_id from etl_runs limit 1").run_id
    with pytest.raises(UnavailableError) as raised, bench.dependencies.transaction() as copied:
        staging.stage(
            copied, "quotes", run_id, {1: StagedPage(chain.from_iterable(map(many, [copied])))}
        )
    assert raised.value.context == {"cause": "QueryCanceled", "sqlstate": "57014"}


def test_a_statement_that_the_driver_does_not_understand_is_no_outage(bench):
    with pytest.raises(ProgrammingError), bench.dependencies.transaction() as asked:
        asked.execute(text("select :value"), {"value": object()})
