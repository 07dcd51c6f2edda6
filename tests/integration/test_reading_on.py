"""The fetch of a source without a tight limit goes on with the pages that follow."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from tasks.core.errors import TransientError
from tasks.domain.runs import Stage
from tests.support.engine import ScriptedConnector, coin, workbench

pytestmark = pytest.mark.integration


@pytest.fixture
def source():
    return ScriptedConnector(pages=[[coin("alpha")], [coin("beta")], [coin("gamma")]])


def _bench(settings, source, rate):
    limited = replace(settings.sources["coingecko"], rate_per_minute=rate)
    return workbench(replace(settings, sources=settings.sources | {"coingecko": limited}), source)


@pytest.mark.parametrize(("rate", "calls"), [(None, 3), (600, 3), (599, 1)])
def test_one_message_reads_a_fast_source_to_its_end_and_one_page_of_a_slow_one(
    settings, source, rate, calls
):
    with _bench(settings, source, rate) as bench:
        run_id = bench.start()
        bench.step(bench.publisher.messages.pop(0))
        assert source.calls == [1, 2, 3][:calls]
        bench.drain()
        assert bench.status(run_id) == "success"
        assert bench.one("select count(*) as n from quotes").n == 3


def test_a_later_page_that_fails_is_tried_again_by_a_message_of_its_own(settings, source):
    good = source.pages[2]
    source.pages[2] = TransientError("Nobody answers.")
    with _bench(settings, source, None) as bench:
        run_id = bench.start()
        first = bench.publisher.messages.pop(0)
        assert bench.step(first) is None
        waiting = [(m.stage, m.page) for m in bench.publisher.messages if m.stage is Stage.FETCH]
        assert waiting == [(Stage.FETCH, 3)]
        source.pages[2] = good
        bench.drain()
        assert (bench.status(run_id), source.calls) == ("success", [1, 2, 3, 3])


def _many(page, pages=12, price="1"):
    """Pages of 600 coins, the one asked for at another price."""
    return [
        [coin(f"c{number}-{n}", price if number == page else "1") for n in range(600)]
        for number in range(1, pages + 1)
    ]


def _sent(bench):
    """Work off every message and return how many there were of each stage."""
    counts = dict.fromkeys(Stage, 0)
    while bench.publisher.messages:
        message = bench.publisher.messages.pop(0)
        counts[message.stage] += 1
        assert bench.step(message) is None
    return counts


def test_what_comes_again_is_one_reading_one_transform_and_one_load(settings, source):
    source.pages = _many(None)
    with _bench(settings, source, None) as bench:
        bench.start()
        assert _sent(bench) == {Stage.FETCH: 3, Stage.TRANSFORM: 3, Stage.LOAD: 3}
        run_id = bench.start()
        assert _sent(bench) == {Stage.FETCH: 1, Stage.TRANSFORM: 1, Stage.LOAD: 1}
        run = bench.one("select * from etl_runs where run_id = :id", id=run_id)
        assert (run.status, run.records_extracted, run.records_unchanged) == ("success", 7200, 7200)


def test_a_page_that_is_new_between_known_ones_is_stored_and_loaded(settings, source):
    source.pages = _many(None)
    with _bench(settings, source, None) as bench:
        bench.run()
        source.pages = _many(7, price="2")
        run_id = bench.run()
        run = bench.one("select * from etl_runs where run_id = :id", id=run_id)
        assert (run.records_processed, run.records_unchanged) == (600, 6600)
        stored = bench.rows("select page, body from raw_pages where run_id = :id", id=run_id)
        assert [row.page for row in stored if row.body is not None] == [7]
        assert bench.one("select count(*) as n from quotes where price_usd = 2").n == 600


def test_what_is_not_known_any_more_when_it_is_to_be_stored_is_asked_for_again(settings, source):
    with _bench(settings, source, None) as bench:
        bench.run()
        fetch, forgotten = source.fetch, "update run_pages set rejected = 1"

        def forgetting(context, cursor):
            answer = fetch(context, cursor)
            if len(source.calls) == 6:  # the last page of the second run
                with bench.dependencies.transaction() as session:
                    session.execute(text(forgotten))
            return answer

        source.fetch = forgetting
        run_id = bench.start()
        first = bench.publisher.messages.pop(0)
        again = bench.step(first)
        assert again is not None
        assert bench.rows("select 1 from raw_pages where run_id = :id", id=run_id) == []
        bench.publisher.messages.append(first)
        bench.drain()
        assert bench.status(run_id) == "success"
        stored = bench.rows("select body from raw_pages where run_id = :id", id=run_id)
        assert len(stored) == 3
        assert all(row.body for row in stored)
