"""Replays: the same tables from stored pages, without the source."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tasks.core.errors import ConflictError, InvalidInputError, NotFoundError, PermanentError
from tasks.domain.records import Rejection
from tasks.pipeline import replaying
from tests.support.engine import ScriptedConnector, coin, workbench

pytestmark = pytest.mark.integration

SNAPSHOT = {
    "quotes": "select * from quotes order by source, external_id",
    "history": "select * from quote_history order by source, external_id, observed_at",
    "links": "select * from asset_links order by source, external_id",
    "checkpoints": "select * from etl_checkpoints order by source",
    "raw": "select raw_page_id, run_id, page, body, items from raw_pages order by 1",
    "published": "select wire_id, price_usd, source from assets order by 1",
}
SOURCES = ("coingecko", "coinpaprika")
EVER = {"since": datetime(2020, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC)}


@pytest.fixture
def bench(settings):
    with workbench(settings, *(ScriptedConnector(name, pages=[]) for name in SOURCES)) as bench:
        yield bench


def snapshot(bench):
    return {name: bench.rows(sql) for name, sql in SNAPSHOT.items()}


def replay(bench, run_id):
    child = replaying.replay(bench.dependencies, run_id)
    bench.drain()
    return bench.one("select * from etl_runs where run_id = :id", id=child)


def answer(bench, *pages, source="coingecko"):
    bench.connectors[source].pages = list(pages)
    return bench.run(source)


def at(hour, minute=0):
    return f"2026-01-01T{hour:02}:{minute:02}:00Z"


def a_day(bench):
    """Four runs a source, with prices that move, rest, come late, come back and vanish."""
    for hour, price in ((0, "1"), (6, "1"), (12, "2"), (18, "1")):
        for source in SOURCES:
            answer(
                bench,
                [coin("mover", price, at=at(hour)), coin("steady", "5", at=at(hour))],
                [coin("silent", "7", at=at(0)), coin("edited", "3", cap=str(hour), at=at(0))],
                [coin("late", price, at=at(23 - hour)), coin("unpriced", None, at=at(hour))],
                source=source,
            )


def test_a_replay_of_a_day_asks_nobody_and_gives_the_same_tables(bench):
    a_day(bench)
    before = snapshot(bench)
    for source in SOURCES:
        bench.connectors[source].calls.clear()
        run_id = replaying.replay_between(bench.dependencies, source, **EVER)
        bench.drain()
        run = bench.one("select * from etl_runs where run_id = :id", id=run_id)
        assert (run.status, run.pages, run.records_extracted) == ("success", 12, 24)
        assert (run.records_processed, run.records_unchanged) == (24, 0)
        assert bench.connectors[source].calls == []
    assert snapshot(bench) == before


def test_replaying_any_run_of_a_day_in_any_order_gives_the_same_tables(bench):
    a_day(bench)
    before = snapshot(bench)
    for row in bench.rows("select run_id from etl_runs order by md5(run_id::text)"):
        replayed = replay(bench, row.run_id)
        assert (replayed.trigger, replayed.status) == ("replay", "success")
        assert replayed.parent_run_id == row.run_id
        assert replayed.checkpoint_after == replayed.checkpoint_before
        assert snapshot(bench) == before


def test_a_replay_applies_the_rules_of_today(bench, monkeypatch):
    run_id = answer(bench, [coin("alpha", "1"), coin("beta", "2")])
    rule = ScriptedConnector.normalise
    monkeypatch.setattr(
        ScriptedConnector,
        "normalise",
        lambda self, item: rule(self, item)._replace(symbol="new", price_usd="9"),
    )
    replay(bench, run_id)
    rows = bench.rows("select symbol, price_usd from quotes")
    assert {tuple(row) for row in rows} == {("new", 9)}
    assert {row.price_usd for row in bench.rows("select price_usd from quote_history")} == {9}


def test_what_was_rejected_then_is_loaded_by_a_rule_that_accepts_it(bench, monkeypatch):
    source = bench.connectors["coingecko"]
    rule = source.normalise
    source.normalise = lambda item: Rejection(item.external_id, "price", "range", "No.")
    run_id = answer(bench, [coin("alpha", "1")])
    assert bench.rows("select 1 from quotes") == []
    source.normalise = rule
    assert replay(bench, run_id).status == "success"
    assert bench.one("select price_usd from quotes").price_usd == 1


def test_a_replay_of_an_old_page_replaces_no_newer_observation(bench, monkeypatch):
    old = answer(bench, [coin("alpha", "1", at=at(0))])
    answer(bench, [coin("alpha", "2", at=at(6))])
    rule = ScriptedConnector.normalise
    monkeypatch.setattr(
        ScriptedConnector, "normalise", lambda self, item: rule(self, item)._replace(symbol="old")
    )
    replay(bench, old)
    assert tuple(bench.one("select symbol, price_usd from quotes")) == ("alp", 2)


def test_of_two_answers_with_one_timestamp_the_later_one_stays(bench):
    first = answer(bench, [coin("alpha", "1")])
    answer(bench, [coin("alpha", "2")])
    replay(bench, first)
    assert bench.one("select price_usd from quotes").price_usd == 2
    assert bench.one("select price_usd from quote_history").price_usd == 2


def test_a_replay_of_what_is_not_there_is_refused(bench):
    with pytest.raises(NotFoundError):
        replaying.replay(bench.dependencies, "00000000-0000-0000-0000-000000000000")
    with pytest.raises(NotFoundError, match="coingecko"):
        replaying.replay_between(bench.dependencies, "nowhere", **EVER)
    with pytest.raises(ConflictError, match="No page"):
        replaying.replay_between(bench.dependencies, "coingecko", **EVER)
    with pytest.raises(InvalidInputError, match="before it begins"):
        replaying.replay_between(
            bench.dependencies, "coingecko", since=EVER["until"], until=EVER["since"]
        )
    assert bench.rows("select 1 from etl_runs") == []


def test_a_run_whose_pages_are_gone_cannot_be_replayed(bench):
    run_id = answer(bench, [coin("alpha", "1")])
    with bench.dependencies.transaction() as session:
        session.execute(text("delete from raw_pages"))
    with pytest.raises(ConflictError, match="No page"):
        replaying.replay(bench.dependencies, run_id)


def test_a_dry_run_is_no_part_of_a_replay(bench):
    bench.connectors["coingecko"].pages = [[coin("alpha", "1")]]
    run_id = bench.run(options={"dry_run": True})
    with pytest.raises(ConflictError, match="dry run"):
        replaying.replay(bench.dependencies, run_id)
    with pytest.raises(ConflictError, match="No page"):
        replaying.replay_between(bench.dependencies, "coingecko", **EVER)


def test_an_active_run_is_not_replayed_and_keeps_its_source(bench):
    done = answer(bench, [coin("alpha", "1")])
    active = bench.start()
    for run_id in (done, active):
        with pytest.raises(ConflictError, match=str(active)):
            replaying.replay(bench.dependencies, run_id)


def test_a_replay_between_two_runs_does_not_stand_in_the_way_of_resuming(bench):
    done = answer(bench, [coin("alpha", "1")])
    source = bench.connectors["coingecko"]
    source.pages = [[coin("alpha", "1")], PermanentError("Broke off.")]
    broken = bench.run()
    assert bench.status(broken) == "failed"
    replay(bench, done)
    source.pages[1] = [coin("beta", "2")]
    source.calls.clear()
    bench.run()
    assert source.calls == [2]


def test_only_pages_of_the_time_asked_for_are_replayed(bench):
    answer(bench, [coin("alpha", "1")])
    (page,) = bench.rows("select ingested_at from raw_pages")
    answer(bench, [coin("beta", "2")])
    run_id = replaying.replay_between(
        bench.dependencies,
        "coingecko",
        since=page.ingested_at,
        until=page.ingested_at + timedelta(microseconds=1),
    )
    bench.drain()
    assert bench.one("select pages from etl_runs where run_id = :id", id=run_id).pages == 1
