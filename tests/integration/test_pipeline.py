"""The engine through its use cases: real database, messages in any order, any number of times."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from tasks.core.errors import (
    BudgetSpentError,
    BudgetWaitError,
    ConflictError,
    NotFoundError,
    PermanentError,
    TransientError,
)
from tasks.domain.runs import Stage
from tasks.pipeline import ageing, lifecycle, sweeping
from tasks.sources.base import Fetched
from tests.support.engine import ScriptedConnector, coin, workbench

pytestmark = pytest.mark.integration

PAGES = [[coin("alpha", "1"), coin("beta", "2")], [coin("gamma", "3")], [coin("delta", "4")]]
FINAL = """
    select q.source, q.external_id, q.price_usd, q.observed_at, q.digest,
      (select count(*) from quote_history h where h.external_id = q.external_id) as observations
    from quotes q order by 1, 2
"""


@pytest.fixture
def source():
    return ScriptedConnector(pages=[list(page) for page in PAGES])


@pytest.fixture
def bench(settings, source):
    with workbench(settings, source) as bench:
        yield bench


def _make_due(bench):
    """Let the database's clock reach every deadline: time passes by moving them back."""
    with bench.dependencies.transaction() as session:
        for table, columns in {
            "run_pages": ("wake_at", "lease_until"),
            "data_versions": ("changed_at",),
        }.items():
            changes = ", ".join(f"{name} = {name} - interval '1 hour'" for name in columns)
            session.execute(text(f"update {table} set {changes}"))  # noqa: S608


def test_a_run_brings_every_item_to_the_tables(bench):
    run_id = bench.run()
    run = bench.one("select * from etl_runs where run_id = :id", id=run_id)
    assert run.status == "success"
    assert (run.pages, run.records_extracted, run.records_processed) == (3, 4, 4)
    assert (run.records_failed, run.records_unchanged) == (0, 0)
    assert run.checkpoint_after == {"pages": 3}
    assert [row.external_id for row in bench.rows(FINAL)] == ["alpha", "beta", "delta", "gamma"]
    assert bench.one("select count(*) as n from staged_quotes").n == 0


def test_a_second_run_of_the_same_answers_finds_nothing_new(bench):
    bench.run()
    before = bench.rows(FINAL)
    run = bench.one("select * from etl_runs where run_id = :id", id=bench.run())
    assert (run.status, run.records_unchanged, run.records_processed) == ("success", 4, 0)
    assert bench.rows(FINAL) == before


def test_the_same_price_with_a_newer_timestamp_is_confirmed_and_not_new(bench, source):
    bench.run()
    source.pages = [[coin("alpha", "1", at="2026-01-01T01:00:00Z")]]
    bench.run()
    row = bench.one("select observed_at from quotes where external_id = 'alpha'")
    assert row.observed_at == datetime(2026, 1, 1, 1, tzinfo=UTC)
    assert bench.one("select count(*) as n from quote_history where external_id = 'alpha'").n == 1


def test_an_older_observation_enters_the_history_but_replaces_nothing(bench, source):
    bench.run()
    source.pages = [[coin("alpha", "0.5", at="2025-12-31T00:00:00Z")]]
    bench.run()
    assert bench.one("select price_usd from quotes where external_id = 'alpha'").price_usd == 1
    assert bench.one("select count(*) as n from quote_history where external_id = 'alpha'").n == 2


def test_messages_that_come_twice_change_nothing(bench, settings):
    bench.start()
    bench.drain(twice=True)
    assert [row.observations for row in bench.rows(FINAL)] == [1, 1, 1, 1]
    run = bench.one("select * from etl_runs")
    assert (run.status, run.pages, run.records_processed) == ("success", 3, 4)


@given(st.randoms(use_true_random=False))
@hypothesis_settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_messages_in_any_order_and_number_give_the_same_tables(bench, source, chance):
    """Delivered late, early or twice: nothing but the order of work may differ."""
    source.pages = [[coin(f"coin-{n}", str(n + 1))] for n in range(4)]
    run_id = bench.start(options={"full_refresh": True})
    seen = []
    while bench.status(run_id) in {"queued", "running"}:
        if not bench.publisher.messages:
            _make_due(bench)
            sweeping.sweep(bench.dependencies)
        message = bench.publisher.messages.pop(chance.randrange(len(bench.publisher.messages)))
        seen.append(message)
        bench.step(chance.choice(seen))
        bench.step(message)
    bench.publisher.messages.clear()
    assert bench.status(run_id) == "success"
    prices = {row.external_id: row.price_usd for row in bench.rows(FINAL)}
    assert {f"coin-{n}": n + 1 for n in range(4)}.items() <= prices.items()
    assert (
        bench.one(
            "select max(n) as n from (select count(*) n from quote_history group by external_id) c"
        ).n
        == 1
    )


def test_one_bad_item_goes_to_quarantine_and_spoils_nothing(bench, source):
    source.pages = [[coin(f"c{n}", str(n)) for n in range(499)] + [coin("bad", "-1")]]
    run = bench.one("select * from etl_runs where run_id = :id", id=bench.run())
    assert (run.status, run.records_processed, run.records_failed) == ("partial", 499, 1)
    bad = bench.one("select * from rejections")
    assert (bad.external_id, bad.field, bad.rule, bad.run_id) == (
        "bad",
        "price",
        "range",
        run.run_id,
    )
    assert '"price":"-1"' in bad.payload


def test_the_same_bad_item_again_is_one_row_that_counts(bench, source):
    source.pages = [[coin("bad", "-1")]]
    bench.run()
    bench.run()
    assert bench.one("select occurrences from rejections").occurrences == 2


def test_a_source_has_one_active_run(bench):
    run_id = bench.start()
    with pytest.raises(ConflictError, match=str(run_id)) as refusal:
        bench.start()
    assert refusal.value.context["active_run_id"] == str(run_id)


def test_an_unknown_source_is_named_with_those_there_are(bench):
    with pytest.raises(NotFoundError, match="coingecko"):
        bench.start("nowhere")


def test_a_permanent_error_fails_the_run_with_its_reason(bench, source):
    source.pages[1] = PermanentError("The key is not valid.")
    run = bench.one("select * from etl_runs where run_id = :id", id=bench.run())
    assert (run.status, run.error_message) == ("failed", "The key is not valid.")
    assert run.finished_at is not None


def test_a_spent_budget_skips_the_run(bench, source):
    source.pages = [BudgetSpentError("The month's calls are used up.")]
    run = bench.one("select * from etl_runs where run_id = :id", id=bench.run())
    assert (run.status, run.error_message) == ("skipped", "The month's calls are used up.")


def test_waiting_for_budget_is_no_attempt(bench, source):
    source.pages[0] = BudgetWaitError(retry_after_s=5)
    run_id = bench.start()
    (message,) = bench.publisher.messages
    for _ in range(10):
        again = bench.step(message)
        assert (again.delay_s, again.counts) == (5, False)
    waited = bench.one("select value from metric_totals where name = 'etl_rate_limit_wait_seconds'")
    assert waited.value == 50
    source.pages[0] = PAGES[0]
    bench.drain()
    assert bench.status(run_id) == "success"


def test_an_outage_is_tried_again_and_then_fails_the_run(bench, source):
    source.pages[0] = TransientError("Nobody answers.")
    run_id = bench.run()
    run = bench.one("select * from etl_runs where run_id = :id", id=run_id)
    assert (run.status, run.error_message) == ("failed", "Nobody answers.")
    retries = bench.one("select count(*) as n from run_events where event = 'fetch_retried'").n
    assert retries == 4
    counted = bench.rows("select name, value from metric_totals where name ~ 'retries|give_ups'")
    assert {row.name: row.value for row in counted} == {
        "etl_retries_total": 4,
        "etl_give_ups_total": 1,
    }


def test_what_goes_wrong_while_an_answer_is_cut_is_the_sources_own(bench, source):
    """A large answer is cut into pages while the database takes them."""

    def cut(pages):
        yield from pages
        raise PermanentError("The file ends in the middle.")

    whole = source.fetch

    def fetch(*asked):
        fetched = whole(*asked)
        return Fetched(pages=cut(fetched.pages), next_cursor=fetched.next_cursor)

    source.fetch = fetch
    run = bench.one("select * from etl_runs where run_id = :id", id=bench.run())
    assert (run.status, run.error_message) == ("failed", "The file ends in the middle.")
    assert bench.rows("select 1 from raw_pages") == []


def test_a_failed_run_leaves_the_checkpoint_as_it_was(bench, source):
    bench.run()
    columns = "select source, checkpoint, run_id, last_success_at, paused from etl_checkpoints"
    before = bench.rows(columns)
    source.pages = [[coin("alpha", "7")], PermanentError("Gone.")]
    bench.run()
    assert bench.rows(columns) == before
    assert (
        bench.one("select last_attempt_status from etl_checkpoints").last_attempt_status == "failed"
    )


def test_the_next_run_goes_on_at_the_first_page_that_is_not_loaded(bench, source):
    source.pages_per_request = 1
    good = source.pages[2]
    source.pages[2] = PermanentError("Broke off.")
    failed = bench.run()
    source.pages[2] = good
    source.calls.clear()
    resumed = bench.run()
    assert bench.status(failed) == "failed"
    run = bench.one("select * from etl_runs where run_id = :id", id=resumed)
    assert (run.status, run.resumed_run_id) == ("success", failed)
    assert source.calls == [3]
    assert [row.external_id for row in bench.rows(FINAL)] == ["alpha", "beta", "delta", "gamma"]


def test_a_full_refresh_begins_at_the_beginning(bench, source):
    source.pages[2] = PermanentError("Broke off.")
    bench.run()
    source.pages[2] = PAGES[2]
    source.calls.clear()
    bench.run(options={"full_refresh": True})
    assert source.calls == [1, 2, 3]


def test_an_unreadable_page_is_asked_for_anew_by_the_next_run(bench, source):
    source.pages[1] = b"<html>not today</html>"
    assert bench.status(bench.run()) == "failed"
    source.pages[1] = PAGES[1]
    source.calls.clear()
    assert bench.status(bench.run()) == "success"
    assert source.calls[0] == 1 or source.calls[0] == 2
    assert len(bench.rows(FINAL)) == 4


def test_pages_cut_from_one_answer_are_stored_together(bench, source):
    source.pages_per_request = 3
    run_id = bench.run()
    assert bench.status(run_id) == "success"
    assert source.calls == [1]
    pages = bench.rows("select page, request_page, is_last from run_pages order by page")
    assert [tuple(row) for row in pages] == [(1, 1, False), (2, 1, False), (3, 1, True)]


def test_a_cancelled_run_stops_and_keeps_what_is_loaded(bench):
    run_id = bench.start()
    bench.step(bench.publisher.messages.pop(0))
    bench.cancel(run_id)
    bench.drain()
    assert bench.status(run_id) == "cancelled"
    with pytest.raises(ConflictError, match="cancelled"):
        bench.cancel(run_id)


def test_a_dry_run_writes_no_market_data_and_moves_no_checkpoint(bench):
    run = bench.one(
        "select * from etl_runs where run_id = :id", id=bench.run(options={"dry_run": True})
    )
    assert (run.status, run.records_processed) == ("success", 4)
    assert bench.rows(FINAL) == []
    assert bench.rows("select 1 from etl_checkpoints where last_success_at is not null") == []


def test_a_run_whose_message_was_never_sent_is_sent_by_the_sweeper(bench):
    bench.publisher.away = True
    run_id = bench.start()
    assert bench.status(run_id) == "queued"
    bench.publisher.away = False
    _make_due(bench)
    assert sweeping.sweep(bench.dependencies) == 1
    bench.drain()
    assert bench.status(run_id) == "success"


def test_messages_lost_at_any_point_are_sent_again(bench):
    run_id = bench.start()
    while bench.status(run_id) in {"queued", "running"}:
        for message in bench.publisher.messages[:1]:
            bench.step(message)
        bench.publisher.messages.clear()
        _make_due(bench)
        sweeping.sweep(bench.dependencies)
    assert bench.status(run_id) == "success"
    assert len(bench.rows(FINAL)) == 4


def test_a_batch_that_the_sweeper_closes_is_sent_at_once(bench, source):
    source.pages = [[coin("one")], [coin("two")]]
    bench.start()
    bench.step(bench.publisher.messages.pop())
    with bench.dependencies.transaction() as session:
        session.execute(text("update run_pages set fetched_at = fetched_at - interval '1 min'"))
    bench.publisher.messages.clear()
    assert sweeping.sweep(bench.dependencies) == 1
    assert bench.publisher.messages[0][2:] == (Stage.TRANSFORM, 1)


def test_two_sweepers_do_not_sweep_in_the_same_interval(bench):
    bench.publisher.away = True
    bench.start()
    bench.publisher.away = False
    _make_due(bench)
    assert sweeping.sweep(bench.dependencies) == 1
    assert sweeping.sweep(bench.dependencies) == 0


def test_a_run_whose_workers_die_again_and_again_has_crashed(bench):
    run_id = bench.start()
    with bench.dependencies.transaction() as session:
        session.execute(
            text("update run_pages set attempts = 5, lease_until = now() - interval '1 s'")
        )
    _make_due(bench)
    sweeping.sweep(bench.dependencies)
    run = bench.one("select * from etl_runs where run_id = :id", id=run_id)
    assert run.status == "crashed"
    assert "Page 1" in run.error_message


def test_a_zombie_cannot_write_after_its_work_was_taken_over(bench, source):
    """The claim's token is what counts: the slow one comes back and finds it lost."""
    run_id = bench.start()
    message = bench.publisher.messages.pop(0)
    zombie_fetch = source.fetch

    def slow(context, cursor):
        source.fetch = zombie_fetch
        _make_due(bench)
        with bench.dependencies.transaction() as session:
            session.execute(text("update run_pages set lease_holder = 'elsewhere:1:1'"))
        assert bench.step(message) is None  # another worker does the same page meanwhile
        return zombie_fetch(context, cursor)

    source.fetch = slow
    assert bench.step(message) is None
    bench.drain()
    assert bench.status(run_id) == "success"
    assert bench.one("select count(*) as n from raw_pages where run_id = :id", id=run_id).n == 3


def test_two_ticks_of_one_slot_make_one_run(bench):
    first = lifecycle.start_due_run(bench.dependencies, "coingecko")
    bench.drain()
    assert bench.status(first) == "success"
    assert lifecycle.start_due_run(bench.dependencies, "coingecko") is None


def test_counters_are_earned_in_the_run_that_ends(bench):
    bench.run()
    rows = bench.rows("select labels, value from metric_totals where name = 'etl_runs_total'")
    assert [(row.labels, row.value) for row in rows] == [
        ({"source": "coingecko", "status": "success"}, 1)
    ]


def test_every_step_of_a_run_is_an_event(bench):
    run_id = bench.run()
    events = [
        row.event
        for row in bench.rows(
            "select event from run_events where run_id = :id order by event_id", id=run_id
        )
    ]
    assert events[0] == "run_queued"
    assert events[-1] == "run_success"
    for stage in Stage:
        assert events.count(f"{stage}_started") == events.count(f"{stage}_finished") > 0


def test_a_resumed_run_is_only_one_that_broke_off_lately(bench, source):
    source.pages[2] = PermanentError("Broke off.")
    bench.run()
    with bench.dependencies.transaction() as session:
        session.execute(
            text("update etl_runs set queued_at = queued_at - :age"), {"age": timedelta(hours=2)}
        )
    source.pages[2] = PAGES[2]
    source.calls.clear()
    bench.run()
    assert source.calls == [1, 2, 3]


def test_a_price_that_went_stale_gives_way_without_a_new_observation(settings):
    """Two sources; one falls silent and grows old while nobody brings anything new."""
    now = datetime.now(UTC)
    old, new = (now - timedelta(hours=age) for age in (3, 1))
    first = ScriptedConnector("coingecko", [[coin("alpha", "10", at=old.isoformat())]])
    second = ScriptedConnector("coinpaprika", [[coin("alpha", "12", at=new.isoformat())]])
    for connector in (first, second):
        connector.fresh_for_s = 4 * 3600
    with workbench(settings, first, second) as bench:
        bench.run("coingecko")
        bench.run("coinpaprika")
        assert bench.one("select price_usd from assets").price_usd == 11
        assert ageing.age(bench.dependencies) == 0
        first.fresh_for_s = 2 * 3600
        with bench.dependencies.transaction() as session:
            session.execute(text("update data_versions set changed_at = now() - interval '1 day'"))
        assert ageing.age(bench.dependencies) == 1
        assert bench.one("select price_usd from assets").price_usd == 12
        assert ageing.age(bench.dependencies) == 0
