"""Commands against real servers; the runs' work is done by nobody, so it is done by hand."""

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from rich.console import Console

from service.cli import run_progress
from tasks import bootstrap
from tasks.pipeline import lifecycle
from tasks.store import runs
from tests.support.cli import kasparro, kasparro_process
from tests.support.market import load, quote

pytestmark = pytest.mark.integration


@pytest.fixture
def dependencies(settings):
    built = bootstrap.build(settings, role="cli")
    yield built
    built.engine.dispose()


def test_run_queues_a_run_that_runs_lists(dependencies):
    started = kasparro("run", "csv", "--json")
    assert started.code == 0
    (row,) = started.json()
    assert (row["source"], row["status"], row["trigger"]) == ("csv", "queued", "cli")
    assert kasparro("runs", "--json").json()[0]["run_id"] == row["run_id"]
    assert row["run_id"] in kasparro("runs", "--source", "csv").stdout
    assert kasparro("runs", "--source", "rss", "--json").json() == []


def test_a_source_at_work_is_not_started_twice(dependencies):
    first = kasparro("run", "csv", "--json").json()[0]["run_id"]
    second = kasparro("run", "csv", "--json")
    assert second.json()[0]["run_id"] == first
    assert "active already" in second.stderr


def test_all_stands_for_every_enabled_source(dependencies):
    started = kasparro("run", "all", "--json").json()
    assert [row["source"] for row in started] == list(dependencies.settings.sources)


def test_nothing_is_started_when_one_of_the_sources_is_unknown(dependencies):
    answer = kasparro("run", "csv", "nowhere")
    assert answer.code == 2
    assert kasparro("runs", "--json").json() == []


def test_waiting_for_a_run_that_ends_badly_is_not_a_success(dependencies):
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(kasparro_process, "run", "csv", "--wait", "--json")
        while (run := _active_run(dependencies)) is None:
            assert not waiting.done()
        _cancel(dependencies, run.run_id)
        answer = waiting.result()
    assert answer.code == 1
    assert answer.json()[0]["status"] == "cancelled"
    assert "csv: cancelled" in answer.stderr


def _cancel(dependencies, run_id):
    with dependencies.transaction() as session:
        lifecycle.cancel(session, run_id)


def _active_run(dependencies):
    with dependencies.transaction() as session:
        return runs.active(session, "csv")


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(dependencies):
    made = kasparro("keys", "create", "bob", "--scopes", "read,run", "--expires", "90d", "--json")
    key = made.json()["key"]
    listed = kasparro("keys", "list", "--json")
    assert key not in listed.stdout
    (row,) = listed.json()
    assert (row["name"], row["scopes"]) == ("bob", ["read", "run"])
    assert row["expires_at"] > row["created_at"]
    assert kasparro("keys", "revoke", row["key_id"]).code == 0
    assert kasparro("keys", "list", "--json").json()[0]["revoked_at"]


@pytest.mark.parametrize(
    "arguments", [("--scopes", "everything"), ("--expires", "soon"), ("--scopes", "")]
)
def test_a_key_that_makes_no_sense_is_refused(dependencies, arguments):
    answer = kasparro("keys", "create", "bob", *arguments)
    assert answer.code == 2
    assert kasparro("keys", "list", "--json").json() == []


def test_a_new_database_is_brought_up_to_date(databases, settings, monkeypatch):
    with databases.empty() as url:
        monkeypatch.setenv("DATABASE_URL", url)
        assert kasparro("db", "check").code == 1
        assert kasparro("db", "upgrade").code == 0
        assert kasparro("db", "check", "--json").json()["current_is_head"]


def test_a_database_that_is_away_is_a_sentence(settings, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    answer = kasparro("db", "check")
    assert answer.code == 69
    assert "Traceback" not in answer.stderr


def test_doctor_finds_what_is_wrong_and_says_what_to_do(settings, monkeypatch):
    monkeypatch.setenv("SOURCES", "csv,rss")
    monkeypatch.setenv("RSS_URLS", "http://127.0.0.1:1/feed")
    answer = kasparro("doctor", "--json")
    checks = {check["name"]: check for check in answer.json()}
    assert answer.code == 1
    assert all(checks[name]["ok"] for name in ("python", "settings", "database", "broker"))
    for name in ("workers", "source csv", "source rss"):
        assert checks[name]["advice"]


def test_sources_tell_their_schedule_and_no_secret(settings, monkeypatch):
    monkeypatch.setenv("COINPAPRIKA_API_KEY", "not-a-real-key")
    answer = kasparro("sources", "--json")
    assert [row["source"] for row in answer.json()] == list(settings.sources)
    assert "not-a-real-key" not in answer.stdout


def test_the_api_is_described_without_a_server(monkeypatch):
    described = kasparro("openapi").json()
    assert described["openapi"].startswith("3.1")
    assert "/data" in described["paths"]


def test_runs_that_broke_off_are_tried_again_by_name_and_by_filter(dependencies):
    broken = []
    for source in ("csv", "rss"):
        (row,) = kasparro("run", source, "--json").json()
        _cancel(dependencies, UUID(row["run_id"]))
        broken.append(row["run_id"])
    assert kasparro("retry", "--json").json() == []
    named = kasparro("retry", broken[0])
    assert (named.code, f"a child of {broken[0]}" in named.stderr) == (0, True)
    again = kasparro("retry", broken[0])
    assert (again.code, "has an active run" in again.stderr) == (75, True)
    outcomes = kasparro("retry", "--status", "cancelled", "--json").json()
    found = {outcome["source"]: outcome for outcome in outcomes}
    assert found["rss"]["child_run_id"] is not None
    assert (found["csv"]["child_run_id"], "active run" in found["csv"]["reason"]) == (None, True)
    assert kasparro("retry", UUID(int=1)).code == 2


def test_what_a_source_brought_is_replayed_by_time(dependencies):
    none = kasparro("replay", "csv", "--from", "2026-01-01", "--to", "2026-01-02")
    assert (none.code, "No page is stored" in none.stderr) == (75, True)
    backwards = kasparro("replay", "csv", "--from", "2026-01-02", "--to", "2026-01-01")
    assert (backwards.code, "ends before it begins" in backwards.stderr) == (2, True)


def test_a_terminal_shows_a_bar_for_each_run_and_how_it_ended(dependencies):
    (row,) = kasparro("run", "csv", "--json").json()
    _cancel(dependencies, UUID(row["run_id"]))
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120)
    run_progress.follow(dependencies, [UUID(row["run_id"])], console)
    assert "0/1" in text.getvalue()
    assert "cancelled: 0 records" in text.getvalue()


def test_a_backfill_says_what_it_costs_before_it_spends_anything(dependencies, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    with dependencies.transaction() as session:
        load(session, "coingecko", [quote("bitcoin", "BTC", "Bitcoin")])
    before = kasparro("runs", "--json").json()
    asked = kasparro("backfill", "coingecko", "--from", _days_ago(100), "--to", _days_ago(1))
    assert asked.code == 1
    assert "2 calls for 1 coins" in asked.stderr
    assert kasparro("runs", "--json").json() == before
    given = kasparro(
        "backfill", "coingecko", "--from", _days_ago(100), "--coins", "bitcoin", "--yes", "--json"
    )
    assert given.code == 0
    assert (given.json()["trigger"], given.json()["calls"]) == ("backfill", 2)


def test_a_backfill_of_what_was_never_brought_is_refused(dependencies):
    answer = kasparro("backfill", "coingecko", "--from", _days_ago(9), "--coins", "nothing")
    assert answer.code == 2
    assert "nothing" in answer.stderr


def _days_ago(days):
    return f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d}"
