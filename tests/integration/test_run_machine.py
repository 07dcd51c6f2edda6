"""The life of runs as a state machine: whatever happens in whatever order, the rules hold."""

from collections import Counter

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from tasks.core.errors import (
    BudgetSpentError,
    ConflictError,
    PermanentError,
    TransientError,
)
from tasks.domain.runs import ACTIVE, COMPLETED, FINAL, TRANSITIONS, RunStatus
from tasks.pipeline import replaying, retrying, sweeping
from tasks.store.audit import Actor
from tests.support.engine import ScriptedConnector, coin, workbench

pytestmark = pytest.mark.integration

PAGES = [[coin("alpha", "1"), coin("beta", "2")], [coin("gamma", "3")], [coin("delta", "4")]]
LATER = {"judged_at", "judgement"}  # what may still be said about a run that has ended


class WorkerDiedError(BaseException):
    """The process ends: nothing of ours catches this."""


class TroubledConnector(ScriptedConnector):
    """Asks for a page, or fails once as ``trouble`` says."""

    trouble = None

    def fetch(self, context, cursor):
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble
        return super().fetch(context, cursor)


def lasting(run):
    return {name: value for name, value in run._asdict().items() if name not in LATER}


def is_retriable(run):
    return run.status in FINAL - COMPLETED and run.trigger != "replay"


def is_replayable(run):
    return run.status in FINAL and run.pages > 0 and not run.options.get("dry_run")


class RunMachine(RuleBasedStateMachine):
    """Everything that can happen to the runs of one source."""

    def __init__(self, bench, source):
        super().__init__()
        self.bench, self.source = bench, source
        self.source.trouble = None
        self.before = {}
        bench.publisher.messages.clear()
        with bench.dependencies.transaction() as session:
            session.execute(
                text("truncate etl_runs, etl_checkpoints, quotes, quote_history, assets cascade")
            )

    def runs(self):
        return {row.run_id: row for row in self.bench.rows("select * from etl_runs")}

    def active(self):
        return self.bench.rows("select 1 from etl_runs where status in ('queued', 'running')")

    def attempt(self, allowed, action):
        """Do what must succeed if ``allowed``, and else be refused as a conflict."""
        if allowed:
            action()
            return
        with pytest.raises(ConflictError):
            action()

    def deliver(self, index, *, again):
        messages = self.bench.publisher.messages
        message = messages[index % len(messages)]
        if not again:
            messages.remove(message)
        try:
            if self.bench.step(message) is not None and not again:
                messages.append(message)
        except WorkerDiedError:
            return

    @rule(options=st.sampled_from([{}, {"full_refresh": True}, {"dry_run": True}]))
    def start(self, options):
        self.attempt(not self.active(), lambda: self.bench.start(options=options))

    @precondition(lambda self: self.bench.publisher.messages)
    @rule(index=st.integers(0, 9), again=st.booleans())
    def message_comes(self, index, again):
        self.deliver(index, again=again)

    @precondition(lambda self: self.bench.publisher.messages)
    @rule()
    def messages_come_in_order(self):
        for _ in range(12):
            if self.bench.publisher.messages:
                self.deliver(0, again=False)

    @precondition(lambda self: self.bench.publisher.messages)
    @rule()
    def messages_are_lost(self):
        self.bench.publisher.messages.clear()

    @rule(
        trouble=st.sampled_from(
            [TransientError("No."), PermanentError("No."), BudgetSpentError(), WorkerDiedError()]
        )
    )
    def source_breaks(self, trouble):
        self.source.trouble = trouble

    @rule()
    def time_passes(self):
        with self.bench.dependencies.transaction() as session:
            session.execute(
                text(
                    "update run_pages set wake_at = wake_at - interval '1 hour',"
                    " lease_until = lease_until - interval '1 hour'"
                )
            )
            session.execute(
                text("update data_versions set changed_at = changed_at - interval '1h'")
            )
        sweeping.sweep(self.bench.dependencies)

    @rule(choice=st.integers(0, 99))
    def cancel(self, choice):
        run = self.one_of(lambda run: run.status in ACTIVE, choice)
        if run is not None:
            may = run.status in ACTIVE
            self.attempt(may, lambda: self.bench.cancel(run.run_id))

    @rule(choice=st.integers(0, 99))
    def retry(self, choice):
        run = self.one_of(is_retriable, choice)
        if run is not None:
            may = is_retriable(run) and not self.active()
            self.attempt(
                may,
                lambda: retrying.retry(self.bench.dependencies, run.run_id, actor=Actor("machine")),
            )

    @rule(choice=st.integers(0, 99))
    def replay(self, choice):
        run = self.one_of(is_replayable, choice)
        if run is not None:
            may = is_replayable(run) and not self.active()
            calls = len(self.source.calls)
            self.attempt(may, lambda: replaying.replay(self.bench.dependencies, run.run_id))
            self.messages_come_in_order()
            assert len(self.source.calls) == calls or not may

    def one_of(self, likely, choice):
        """Pick a run; mostly one that allows what is meant to be done."""
        found = sorted(self.runs().values(), key=lambda row: row.queued_at)
        chosen = [run for run in found if likely(run)] if choice % 5 else found
        return (chosen or found or [None])[choice % max(len(chosen or found), 1)]

    @invariant()
    def the_rules_hold(self):
        now = self.runs()
        assert len([row for row in now.values() if row.status in ACTIVE]) <= 1
        for run_id, before in self.before.items():
            self.follows(before, now[run_id])
        self.before = now
        self.the_checkpoint_is_that_of_a_run_that_completed(now)
        rows = self.bench.rows("select run_id from run_pages where state = 'loaded'")
        loaded = Counter(row.run_id for row in rows)
        assert all(row.pages == loaded[run_id] for run_id, row in now.items())

    def follows(self, before, after):
        """A run goes only where the table of transitions leads, and once finished nowhere."""
        if before.status in FINAL:
            assert lasting(before) == lasting(after)
        elif before.status != after.status:
            reached = set(TRANSITIONS[RunStatus(before.status)])
            reached |= {last for step in reached for last in TRANSITIONS.get(step, ())}
            assert after.status in reached

    def the_checkpoint_is_that_of_a_run_that_completed(self, runs):
        for row in self.bench.rows("select run_id, checkpoint from etl_checkpoints"):
            if row.run_id is None:
                assert row.checkpoint == {}
                continue
            run = runs[row.run_id]
            assert run.status in COMPLETED
            assert run.checkpoint_after == row.checkpoint == {"pages": 3}
            assert not run.options.keys() & {"dry_run", "keep_checkpoint"}

    def teardown(self):
        """After all that, a healthy source still comes to its tables."""
        self.source.trouble = None
        while self.active():
            self.bench.drain()
            if self.active():
                self.time_passes()
        run_id = self.bench.run()
        assert self.bench.status(run_id) == "success"
        rows = self.bench.rows("select external_id, price_usd from quotes order by 1")
        assert [tuple(row) for row in rows] == [
            ("alpha", 1),
            ("beta", 2),
            ("delta", 4),
            ("gamma", 3),
        ]
        counts = self.bench.rows("select external_id, count(*) as n from quote_history group by 1")
        assert {row.n for row in counts} == {1}


def test_the_life_of_runs_holds_whatever_happens(settings):
    source = TroubledConnector(pages=PAGES)
    with workbench(settings, source) as bench:
        run_state_machine_as_test(
            lambda: RunMachine(bench, source),
            settings=hypothesis_settings(
                max_examples=12,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
