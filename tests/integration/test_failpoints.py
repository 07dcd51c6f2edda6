"""Every failpoint, reached and survived: the tables are those of a run that nothing disturbed."""

import signal
from dataclasses import replace

import pytest

from tasks.core import failpoints
from tasks.core.errors import InvalidInputError, KasparroError
from tasks.core.settings import load_settings
from tests.support.crashes import BigPages, cut_database, failing, recover, run_in_process
from tests.support.engine import coin, workbench
from tests.support.outcomes import check, tables

pytestmark = pytest.mark.integration

BEGINNING = [[coin("alpha", "1"), coin("beta", "2")], [coin("gamma", "3")]]


def _round(number):
    """Three pages of a later run: new, changed, known and bad items."""
    at = f"2026-01-0{number}T00:00:00Z"
    return [
        [coin("alpha", f"{number}0", at=at), coin("beta", "2")],
        [coin("gamma", f"-{number}", at=at), coin("delta", f"{number}4", at=at)],
        [coin(f"omega-{number}", "5", at=at)],
    ]


KINDS = {
    "network_error": _round(2),
    "validation_error": _round(3),
    failpoints.KILL: _round(4),
    failpoints.HOLD: _round(5),  # and meanwhile the database cuts its connections
}


@pytest.fixture(scope="module")
def undisturbed(databases, servers):
    """What the tables hold after each round when nothing disturbs the runs."""
    with databases.cloned() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        patch.setenv("REDIS_URL", servers["REDIS_URL"])
        source = BigPages(pages=BEGINNING)
        with workbench(load_settings(), source) as bench:
            bench.run()
            found = {}
            for kind, source.pages in KINDS.items():
                assert bench.status(bench.run()) == "partial"
                found[kind] = tables(bench)
            return found


@pytest.fixture
def source():
    return BigPages(pages=BEGINNING)


@pytest.fixture
def bench(settings, source):
    with workbench(settings, source) as bench:
        bench.run()
        yield bench


def disturb(bench, settings, point, kind):
    """Break a run with one failure."""
    record = 4 if point == failpoints.AT_RECORD else None
    wanted = failing(settings, point=point, type=kind, at_record=record)
    pages = bench.connectors["coingecko"].pages
    if kind == failpoints.KILL:
        assert run_in_process(wanted, pages) == -signal.SIGKILL
        return
    if kind == failpoints.HOLD:
        cuts = []
        run_in_process(wanted, pages, lambda: cuts.append(cut_database(bench, "workbench")))
        assert cuts
        return
    sound, run_id, messages = bench.dependencies, bench.start(), bench.publisher.messages
    bench.dependencies = replace(sound, settings=wanted)
    for message in iter(lambda: messages.pop(0) if messages else None, None):
        try:
            again = bench.step(message)
        except KasparroError:
            break
        if again is not None or bench.status(run_id) == "failed":
            break
    bench.dependencies = sound
    messages.clear()


@pytest.mark.parametrize("point", failpoints.NAMES)
def test_a_failure_at_any_failpoint_costs_nothing(bench, settings, source, undisturbed, point):
    """An error that passes, one that does not, the death of the process, and the loss of its
    connections to the database (of which both also prove that the failpoint is reached)."""
    for kind, source.pages in KINDS.items():
        disturb(bench, settings, point, kind)
        recover(bench)
        check(bench, undisturbed[kind])


@pytest.mark.parametrize("kind", failpoints.TYPES)
def test_a_failure_of_any_type_that_never_ends_fails_the_run(
    bench, settings, source, undisturbed, kind
):
    sound = bench.dependencies
    source.pages = KINDS["network_error"]
    wanted = failing(settings, point=failpoints.BEFORE_LOAD, type=kind)
    bench.dependencies = replace(sound, settings=wanted)
    before = bench.rows("select checkpoint from etl_checkpoints")
    run = bench.one("select * from etl_runs where run_id = :id", id=bench.run())
    assert run.status == "failed"
    assert run.error_message == f"Injected at loading.before_load: {kind}."
    assert bench.rows("select checkpoint from etl_checkpoints") == before
    bench.dependencies = sound
    recover(bench)
    check(bench, undisturbed["network_error"])


def test_a_run_can_ask_for_its_own_failure(bench, source):
    source.pages = KINDS["network_error"]
    wanted = {"point": "transformation.at_record", "at_record": 5, "type": "validation_error"}
    run = bench.one(
        "select * from etl_runs where run_id = :id", id=bench.run(options={"failure": wanted})
    )
    assert (run.status, run.error_code) == ("failed", "UnreadablePageError")
    failed = bench.one("select page from run_pages where state = 'failed'")
    assert failed.page == 3


def test_a_run_cannot_ask_for_what_there_is_not(bench):
    with pytest.raises(InvalidInputError, match=r"failure\.point cannot be 'nowhere'"):
        bench.start(options={"failure": {"point": "nowhere"}})


def test_in_production_no_run_can_ask_for_a_failure(settings):
    safe = replace(settings, failures=replace(settings.failures, allowed=False))
    with workbench(safe, BigPages(pages=BEGINNING)) as bench:
        with pytest.raises(InvalidInputError, match="ALLOW_FAILURE_INJECTION"):
            bench.start(options={"failure": {"type": "timeout"}})
        assert bench.rows("select 1 from etl_runs") == []
