"""A page that comes byte by byte as it was loaded is neither stored, nor read, nor loaded again."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tasks.core.errors import PermanentError
from tasks.pipeline import replaying
from tests.support.crashes import BigPages
from tests.support.engine import ScriptedConnector, coin, workbench

pytestmark = pytest.mark.integration

BEGINNING = [[coin("alpha", "1"), coin("beta", "2")], [coin("gamma", "3")]]
REFERRING = "select count(*) as n from raw_pages where same_as is not null and run_id = :id"


@pytest.fixture
def source():
    return ScriptedConnector(pages=BEGINNING)


@pytest.fixture
def bench(settings, source):
    with workbench(settings, source) as bench:
        bench.run()
        yield bench


def _referring(bench, run_id):
    return bench.one(REFERRING, id=run_id).n


def _run(bench, run_id):
    return bench.one("select * from etl_runs where run_id = :id", id=run_id)


def test_a_page_that_came_again_refers_to_the_first_one_and_counts_as_unchanged(bench):
    for _ in range(2):
        run = _run(bench, bench.run())
        assert (run.status, run.records_extracted, run.records_unchanged) == ("success", 3, 3)
        assert _referring(bench, run.run_id) == 2
    assert bench.one("select count(distinct same_as) as n from raw_pages").n == 2


def test_the_view_shows_what_every_run_was_told(bench):
    run_id = bench.run()
    rows = bench.rows("select external_id from raw_coingecko where run_id = :id", id=run_id)
    assert sorted(row.external_id for row in rows) == ["alpha", "beta", "gamma"]


def test_a_page_with_one_changed_item_is_stored_and_only_that_item_loaded(bench, source):
    later = "2026-01-02T00:00:00Z"
    source.pages = [[coin("alpha", "1"), coin("beta", "5", at=later)], BEGINNING[1]]
    run = _run(bench, bench.run())
    assert (run.records_processed, run.records_unchanged) == (1, 2)
    assert _referring(bench, run.run_id) == 1
    assert bench.one("select price_usd from quotes where external_id = 'beta'").price_usd == 5


def test_a_page_with_a_rejected_item_is_read_each_time(bench, source):
    source.pages = [[coin("alpha", "-1"), coin("beta", "2")], BEGINNING[1]]
    for _ in range(2):
        run = _run(bench, bench.run())
        assert (run.status, run.records_failed, _referring(bench, run.run_id)) == ("partial", 1, 1)


def test_what_a_failed_run_has_loaded_since_is_not_taken_for_known(settings):
    source = BigPages(pages=BEGINNING)
    with workbench(settings, source) as bench:
        bench.run()
        changed = [coin("alpha", "9", at="2026-01-02T00:00:00Z"), coin("beta", "2")]
        source.pages = [changed, PermanentError("Gone.")]
        assert bench.status(bench.run()) == "failed"
        assert bench.one("select price_usd from quotes where external_id = 'alpha'").price_usd == 9
        source.pages = BEGINNING
        run = _run(bench, bench.run())
        assert (run.status, run.pages, _referring(bench, run.run_id)) == ("success", 1, 0)
        assert _referring(bench, bench.run()) == 1


def test_a_full_refresh_reads_everything(bench):
    run = _run(bench, bench.run(options={"full_refresh": True}))
    assert (run.records_processed, run.records_unchanged) == (3, 0)
    assert _referring(bench, run.run_id) == 0


def test_a_run_that_found_nothing_new_can_be_replayed(bench):
    unchanged = bench.run()
    before = bench.rows("select * from quotes order by external_id")
    child = replaying.replay(bench.dependencies, unchanged)
    bench.drain()
    run = _run(bench, child)
    assert (run.status, run.records_processed) == ("success", 3)
    assert bench.rows("select * from quotes order by external_id") == before


def test_a_page_that_others_refer_to_cannot_be_removed(bench):
    bench.run()
    with (
        pytest.raises(IntegrityError, match="fk_raw_pages_same_as"),
        bench.dependencies.transaction() as session,
    ):
        session.execute(text("delete from raw_pages where same_as is null"))
