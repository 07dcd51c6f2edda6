"""What is too old goes, in bounded steps; what counts stays."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from tasks.pipeline import replaying, retention
from tasks.store import purges
from tests.support.clocks import FakeClock
from tests.support.engine import ScriptedConnector, coin, workbench

pytestmark = pytest.mark.integration


@pytest.fixture
def bench(settings):
    source = ScriptedConnector(pages=[[coin("alpha", "1")], [coin("beta", "2")]])
    with workbench(settings, source, clock=FakeClock().clock()) as bench:
        yield bench


def count(bench, table):
    return bench.one(f"select count(*) as n from {table}").n  # noqa: S608


def execute(bench, sql, **parameters):
    with bench.dependencies.transaction() as session:
        session.execute(text(sql), parameters)


def make_old(bench, **by):
    age = {"age": timedelta(**by)}
    execute(bench, "update raw_pages set ingested_at = ingested_at - :age", **age)
    execute(bench, "update etl_runs set finished_at = finished_at - :age", **age)


def counters(bench):
    return {
        (row.name, str(row.labels)): row.value
        for row in bench.rows("select name, labels, value from metric_totals")
    }


def test_raw_pages_and_steps_go_by_age_and_runs_keep_their_figures(bench):
    run_id = bench.run()
    counted = counters(bench)
    make_old(bench, days=29)
    retention.purge(bench.dependencies)
    assert (count(bench, "raw_pages"), count(bench, "run_pages")) == (2, 2)
    make_old(bench, days=2)
    purged = retention.purge(bench.dependencies)
    assert (purged.removed["raw_pages"], purged.removed["run_pages"]) == (2, 2)
    assert purged.more is False
    for table in ("raw_pages", "run_pages", "run_events"):
        assert count(bench, table) == 0
    run = bench.one("select * from etl_runs where run_id = :id", id=run_id)
    assert (run.status, run.pages, run.records_processed) == ("success", 2, 2)
    assert count(bench, "quotes") == 2
    assert counters(bench) == counted


def test_what_an_active_run_works_on_stays(bench):
    done = bench.run()
    replaying.replay(bench.dependencies, done)
    make_old(bench, days=40)
    retention.purge(bench.dependencies)
    assert count(bench, "raw_pages") == 2
    bench.drain()
    make_old(bench, days=0)
    retention.purge(bench.dependencies)
    assert count(bench, "raw_pages") == 0


def test_a_page_that_younger_ones_refer_to_stays_until_they_go(bench):
    bench.run()
    make_old(bench, days=31)
    bench.run()
    retention.purge(bench.dependencies)
    assert bench.one("select count(body) as bodies, count(*) as n from raw_pages") == (2, 4)
    make_old(bench, days=31)
    for _ in range(2):
        retention.purge(bench.dependencies)
    assert count(bench, "raw_pages") == 0


def test_old_months_of_the_history_are_dropped_and_stray_rows_deleted(bench):
    execute(
        bench,
        "create table quote_history_202001 partition of quote_history"
        " for values from ('2020-01-01Z') to ('2020-02-01Z')",
    )
    bench.connectors["coingecko"].pages = [
        [
            coin("alpha", "1", at="2020-01-15T00:00:00Z"),
            coin("beta", "1", at="2019-06-01T00:00:00Z"),
            coin("gamma", "1", at="2026-01-01T00:00:00Z"),
        ]
    ]
    bench.run()
    purged = retention.purge(bench.dependencies)
    assert (purged.removed["history_partitions"], purged.removed["history_rows"]) == (1, 1)
    assert [row.external_id for row in bench.rows("select external_id from quote_history")] == [
        "gamma"
    ]
    assert bench.one("select to_regclass('quote_history_202001') is null as gone").gone
    assert count(bench, "quotes") == 3


def test_the_month_in_which_the_limit_falls_is_kept(bench):
    with bench.dependencies.transaction() as session:
        (month,) = session.execute(
            text(
                "select date_trunc('month', now() - make_interval(days => :days))",
            ),
            {"days": bench.dependencies.settings.retention_history_days},
        ).one()
    name = f"quote_history_{month:%Y%m}"
    execute(
        bench,
        f"create table {name} partition of quote_history for values"
        f" from ('{month:%Y-%m-%d}Z') to ('{month + timedelta(days=32):%Y-%m-01}Z')",
    )
    assert "history_partitions" in retention.purge(bench.dependencies).removed
    assert bench.one(f"select to_regclass('{name}') is not null as kept").kept


def test_partitions_are_made_ahead(bench):
    months = "date_trunc('month', now() at time zone 'UTC') + interval '2 months'"
    name = bench.one(f"select 'quote_history_' || to_char({months}, 'YYYYMM') as name").name
    execute(bench, f"drop table {name}")
    retention.purge(bench.dependencies)
    assert bench.one("select to_regclass(:name) is not null as exists", name=name).exists


def test_keys_and_what_is_left_in_staging_go_after_a_day_or_two(bench):
    run_id = bench.run()
    for age in (1, 3):
        execute(
            bench,
            "insert into idempotency_keys (actor, key, body_sha256, response, created_at)"
            " values ('a', :key, '', '{}', now() - make_interval(days => :age))",
            key=str(age),
            age=age,
        )
    execute(
        bench,
        "insert into staged_quotes (run_id, page, item, digest, external_id, symbol, name,"
        " observed_at) values (:id, 1, 1, '', 'x', 'x', 'x', now())",
        id=run_id,
    )
    retention.purge(bench.dependencies)
    assert count(bench, "staged_quotes") == 1
    make_old(bench, days=2)
    retention.purge(bench.dependencies)
    assert [row.key for row in bench.rows("select key from idempotency_keys")] == ["1"]
    assert count(bench, "staged_quotes") == 0


def test_a_step_removes_no_more_than_its_limit(bench):
    bench.run()
    make_old(bench, days=40)
    with bench.dependencies.transaction() as session:
        (before,) = session.execute(text("select now()")).one()
        assert purges.events(session, before, 3) == 3
        left = session.execute(text("select count(*) from run_events")).scalar_one()
        removed = 0
        while step := purges.events(session, before, 3):
            assert step <= 3
            removed += step
        assert removed == left


def test_a_purge_stops_when_its_time_is_up_and_says_so(bench):
    bench.run()
    make_old(bench, days=40)
    purged = retention.purge(bench.dependencies, within_s=0)
    assert purged.more is True
    assert count(bench, "raw_pages") == 2


def test_a_table_that_is_in_use_waits_for_the_next_purge_and_holds_up_no_other(bench):
    execute(
        bench,
        "create table quote_history_202001 partition of quote_history"
        " for values from ('2020-01-01Z') to ('2020-02-01Z')",
    )
    bench.run()
    make_old(bench, days=40)
    with bench.dependencies.engine.connect() as reader:
        reader.execute(text("select * from quote_history"))
        purged = retention.purge(bench.dependencies)
    assert purged.removed["history_partitions"] == 0
    assert purged.removed["raw_pages"] == 2
    assert retention.purge(bench.dependencies).removed["history_partitions"] == 1
