"""Trying a run again, one at a time and many at once."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from tasks.core.errors import ConflictError, NotFoundError, PermanentError
from tasks.pipeline import replaying, retrying
from tasks.store.audit import Actor
from tests.support.engine import ScriptedConnector, coin, workbench

pytestmark = pytest.mark.integration

OPERATOR = Actor("operator", "request-1")
PAGES = [[coin("alpha", "1"), coin("beta", "2")], [coin("gamma", "3")], [coin("delta", "4")]]
TABLES = "select external_id, price_usd, observed_at from quotes order by 1"


@pytest.fixture
def source():
    return ScriptedConnector(pages=[list(page) for page in PAGES])


@pytest.fixture
def bench(settings, source):
    with workbench(settings, source, ScriptedConnector("coinpaprika", pages=[PAGES[0]])) as bench:
        yield bench


def break_off(bench, source, page=2):
    """Run until ``page`` (counted from 0) fails for good; then mend it."""
    good, source.pages[page] = source.pages[page], PermanentError("Broke off.")
    run_id = bench.run()
    source.pages[page] = good
    source.calls.clear()
    return run_id


def retry(bench, run_id):
    child = retrying.retry(bench.dependencies, run_id, actor=OPERATOR)
    bench.drain()
    return bench.one("select * from etl_runs where run_id = :id", id=child)


def age(bench, run_id, **by):
    with bench.dependencies.transaction() as session:
        session.execute(
            text("update etl_runs set queued_at = queued_at - :age where run_id = :id"),
            {"age": timedelta(**by), "id": run_id},
        )


def test_a_retry_begins_at_the_first_page_that_did_not_finish(bench, source):
    failed = break_off(bench, source)
    child = retry(bench, failed)
    assert (child.status, child.trigger, child.parent_run_id) == ("success", "retry", failed)
    assert source.calls == [3]
    assert [row.external_id for row in bench.rows(TABLES)] == ["alpha", "beta", "delta", "gamma"]
    assert bench.one("select checkpoint from etl_checkpoints").checkpoint == {"pages": 3}


def test_a_retry_reuses_the_pages_that_are_stored_however_old_they_are(bench, source):
    source.pages_per_request = 3
    run_id = bench.start()
    bench.step(bench.publisher.messages.pop(0))
    bench.cancel(run_id)
    bench.publisher.messages.clear()
    age(bench, run_id, days=3)
    source.calls.clear()
    child = retry(bench, run_id)
    assert (child.status, child.pages) == ("success", 3)
    assert source.calls == []


def test_stored_pages_are_cut_into_batches_of_the_usual_size(bench, source):
    source.pages = [[coin(f"c{page}-{n}") for n in range(2500)] for page in range(4)]
    source.pages_per_request = 4
    run_id = bench.start()
    bench.step(bench.publisher.messages.pop(0))
    bench.cancel(run_id)
    child = retrying.retry(bench.dependencies, run_id, actor=OPERATOR)
    batches = bench.rows("select batch from run_pages where run_id = :id order by page", id=child)
    assert [row.batch for row in batches] == [1, 2, 2, 4]


def test_a_retry_keeps_its_parents_options(bench, source):
    source.pages[2] = PermanentError("Broke off.")
    failed = bench.run(options={"dry_run": True})
    source.pages[2] = PAGES[2]
    assert retry(bench, failed).status == "success"
    assert bench.rows(TABLES) == []


def test_what_a_dry_run_left_is_not_taken_up_by_a_real_one(bench, source):
    source.pages[2] = PermanentError("Broke off.")
    bench.run(options={"dry_run": True})
    source.pages[2] = PAGES[2]
    bench.run()
    assert len(bench.rows(TABLES)) == 4


def test_a_retry_after_a_later_success_fills_the_gap_and_leaves_the_checkpoint(bench, source):
    failed = break_off(bench, source, page=1)
    source.pages = [[coin("alpha", "9", at="2026-02-01T00:00:00Z")]]
    bench.run(options={"full_refresh": True})
    before = bench.one("select checkpoint, run_id from etl_checkpoints")
    source.pages = [list(page) for page in PAGES]
    assert retry(bench, failed).status == "success"
    assert bench.one("select checkpoint, run_id from etl_checkpoints") == before
    prices = {row.external_id: row.price_usd for row in bench.rows(TABLES)}
    assert prices == {"alpha": 9, "beta": 2, "gamma": 3, "delta": 4}


def test_a_run_that_is_active_or_has_completed_is_not_tried_again(bench, source):
    run_id = bench.start()
    with pytest.raises(ConflictError, match="queued") as refusal:
        retrying.retry(bench.dependencies, run_id, actor=OPERATOR)
    assert refusal.value.context["active_run_id"] == str(run_id)
    bench.drain()
    with pytest.raises(ConflictError, match="completed"):
        retrying.retry(bench.dependencies, run_id, actor=OPERATOR)


def test_a_replay_is_not_tried_again(bench):
    replay = replaying.replay(bench.dependencies, bench.run())
    bench.cancel(replay)
    with pytest.raises(ConflictError, match="replay"):
        retrying.retry(bench.dependencies, replay, actor=OPERATOR)


def test_an_active_run_of_the_source_is_named(bench, source):
    failed = break_off(bench, source)
    active = bench.start()
    with pytest.raises(ConflictError, match=str(active)):
        retrying.retry(bench.dependencies, failed, actor=OPERATOR)


def test_a_run_that_does_not_exist_cannot_be_tried_again(bench):
    with pytest.raises(NotFoundError):
        retrying.retry(bench.dependencies, UUID(int=0), actor=OPERATOR)


def test_a_bulk_retry_gives_each_source_one_child_and_says_why_others_have_none(bench, source):
    first = break_off(bench, source)
    age(bench, first, days=1)
    second = break_off(bench, source)
    bench.run("coinpaprika")
    outcomes = retrying.retry_matching(bench.dependencies, actor=OPERATOR)
    assert [outcome.run_id for outcome in outcomes] == [second, first]
    assert outcomes[0].child_run_id is not None
    assert outcomes[1].child_run_id is None
    assert str(outcomes[0].child_run_id) in outcomes[1].reason
    bench.drain()
    assert bench.status(outcomes[0].child_run_id) == "success"
    entry = bench.one("select * from audit_log")
    assert (entry.actor, entry.action, entry.subject) == ("operator", "run.retry", str(second))
    assert entry.detail == {"child": str(outcomes[0].child_run_id)}


def test_a_bulk_retry_keeps_to_its_filter(bench, source):
    failed = break_off(bench, source)
    queued = bench.one("select queued_at from etl_runs where run_id = :id", id=failed).queued_at
    for nothing in (
        {"source": "coinpaprika"},
        {"statuses": ["cancelled"]},
        {"statuses": ["success"]},
        {"since": queued + timedelta(seconds=1)},
        {"until": queued},
    ):
        assert retrying.retry_matching(bench.dependencies, actor=OPERATOR, **nothing) == []
    (outcome,) = retrying.retry_matching(
        bench.dependencies, actor=OPERATOR, source="coingecko", since=queued
    )
    assert outcome.run_id == failed
