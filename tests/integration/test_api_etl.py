"""Starting runs through HTTP."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from pyarrow import parquet
from sqlalchemy import func, select, text, update

from service import encoding
from tasks.domain.runs import RunStatus
from tasks.pipeline import lifecycle
from tasks.store import runs, versions
from tasks.store.tables import AuditEntry, Run
from tests.support import processes
from tests.support.api import Mailbox, running


@pytest.fixture
def key(api):
    return {"X-API-Key": api.key("run")}


def run_count(api):
    with api.transaction() as session:
        return session.scalar(select(func.count()).select_from(Run))


@pytest.mark.parametrize("path", ["/etl/run", "/trigger-etl"])
def test_no_body_at_all_starts_every_enabled_source(api, key, path):
    response = api.post(path, headers=key)
    body = response.json
    assert response.status_code == 202
    assert list(body) == ["status", "timestamp", "message", "broker", "runs", "request_id"]
    assert (body["status"], body["broker"]) == ("triggered", "connected")
    assert [run["source"] for run in body["runs"]] == list(api.dependencies.settings.sources)
    assert {run["status"] for run in body["runs"]} == {"queued"}
    assert response.headers["Location"] == body["runs"][0]["links"]["run"]
    assert len(api.dependencies.publisher.messages) == 4


def test_a_run_remembers_what_was_asked_and_by_whom(api, key):
    asked = {"sources": ["rss_feed"], "full_refresh": True, "reason": "a test"}
    response = api.post("/etl/run", headers={**key, "X-Request-ID": "req-1"}, json=asked)
    run = api.get(response.headers["Location"]).json
    assert (run["source"], run["trigger"], run["status"]) == ("rss", "api", "queued")
    assert run["options"]["full_refresh"] is True
    with api.transaction() as session:
        entry = session.scalars(select(AuditEntry)).one()
        assert session.scalars(select(Run.request_id)).one() == "req-1"
    assert (entry.action, entry.request_id) == ("run.start", "req-1")
    assert entry.actor == f"key:{key['X-API-Key'].split('_')[1]}"


def test_a_source_with_an_active_run_is_a_conflict_that_names_it(api, key):
    first = api.post("/etl/run", headers=key, json={"sources": ["csv"]}).json["runs"][0]
    again = api.post("/etl/run", headers=key, json={"sources": ["csv"]})
    assert again.status_code == 409
    assert (again.json["active_run_id"], again.json["source"]) == (first["run_id"], "csv")
    assert run_count(api) == 1


def test_of_several_sources_the_free_ones_start(api, key):
    first = api.post("/etl/run", headers=key, json={"sources": ["csv"]}).json["runs"][0]
    response = api.post("/etl/run", headers=key, json={"sources": ["csv", "coingecko"]})
    assert response.status_code == 202
    conflict, started = response.json["runs"]
    assert (conflict["status"], conflict["run_id"]) == ("conflict", first["run_id"])
    assert (started["status"], started["source"]) == ("queued", "coingecko")
    assert response.headers["Location"] == f"/runs/{started['run_id']}"


def test_requests_at_the_same_moment_start_one_run(api, key):
    def ask(_number):
        with api.app.test_client() as client:
            return client.post("/etl/run", headers=key, json={"sources": ["csv"]}).status_code

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert sorted(answers) == [202, 409, 409, 409]
    assert run_count(api) == 1


def test_a_start_and_an_end_at_the_same_moment_do_not_wait_for_each_other(api, key):
    """The one who ends a run has changed its row, and raises the version only then."""
    with api.transaction() as session:
        lifecycle.queue_run(api.dependencies, session, "csv", trigger="cli")
    with ThreadPoolExecutor() as pool, api.transaction() as session:
        session.execute(update(Run).values(status="success", finished_at=func.now()))
        asked = {"sources": ["coingecko", "csv", "rss"]}
        started = pool.submit(api.app.test_client().post, "/etl/run", headers=key, json=asked)
        waits = text(
            "select count(*) from pg_locks where not granted and locktype = 'transactionid'"
        )
        processes.wait_until(lambda: session.scalar(waits), timeout_s=4, what="the start waits")
        versions.bump(session, "runs")
        session.commit()
        assert started.result().status_code == 202
    assert {run["status"] for run in started.result().json["runs"]} == {"queued"}


def test_an_idempotency_key_starts_nothing_twice(api, key):
    headers = {**key, "Idempotency-Key": "nightly-1"}
    answers = [api.post("/etl/run", headers=headers, json={"sources": ["csv"]}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json["runs"] == answers[1].json["runs"]
    assert list(answers[0].json) == list(answers[1].json)
    assert run_count(api) == 1


def test_an_idempotency_key_with_another_body_is_refused(api, key):
    headers = {**key, "Idempotency-Key": "nightly-1"}
    api.post("/etl/run", headers=headers, json={"sources": ["csv"]})
    other = api.post("/etl/run", headers=headers, json={"sources": ["rss"]})
    assert other.status_code == 422
    assert "Idempotency-Key" in other.json["errors"]
    assert run_count(api) == 1


def test_an_idempotency_key_belongs_to_its_caller(api, key):
    other = {"X-API-Key": api.key("run")}
    api.post("/etl/run", headers={**key, "Idempotency-Key": "a"}, json={"sources": ["csv"]})
    answer = api.post(
        "/etl/run", headers={**other, "Idempotency-Key": "a"}, json={"sources": ["rss"]}
    )
    assert answer.status_code == 202


def test_requests_with_one_idempotency_key_at_the_same_moment_start_one_run(api, key):
    headers = {**key, "Idempotency-Key": "at-once"}

    def ask(_number):
        with api.app.test_client() as client:
            return client.post("/etl/run", headers=headers, json={"sources": ["csv"]}).json["runs"]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert all(answer == answers[0] for answer in answers)
    assert run_count(api) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"sources": ["nowhere"]}, "sources"),
        ({"sources": []}, "sources"),
        ({"sources": "csv"}, "sources"),
        ({"sources": [1]}, "sources"),
        ({"full_refresh": "perhaps"}, "full_refresh"),
        ({"dry_run": 0}, "dry_run"),
        ({"reason": "a\nb"}, "reason"),
        ({"sauces": ["csv"]}, "sauces"),
    ],
)
def test_a_body_that_is_not_valid_starts_nothing(api, key, body, field):
    response = api.post("/etl/run", headers=key, json=body)
    assert response.status_code == 422
    assert field in response.json["errors"]
    assert run_count(api) == 0


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"reason": NaN}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"sources=csv", "application/x-www-form-urlencoded", 415),
        (b" " * 70_000, "application/json", 413),
    ],
)
def test_a_body_that_is_no_json_is_refused(api, key, body, content_type, status):
    response = api.post("/etl/run", headers=key, data=body, content_type=content_type)
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"


def test_without_a_broker_runs_are_accepted_and_stay_queued(settings):
    with running(settings, publisher=Mailbox(away=True)) as api:
        key = {"X-API-Key": api.key("run")}
        response = api.post("/etl/run", headers=key)
        assert response.status_code == 202
        assert response.json["broker"] == "unavailable"
        assert {run["status"] for run in api.get("/runs").json["runs"]} == {"queued"}


def test_a_run_is_cancelled_once_and_then_tried_again(api, key):
    run_id = api.post("/etl/run", headers=key, json={"sources": ["csv"]}).json["runs"][0]["run_id"]
    assert api.post(f"/runs/{run_id}/retry", headers=key).status_code == 409
    assert api.post(f"/runs/{run_id}/cancel", headers=key).status_code == 202
    assert api.post(f"/runs/{run_id}/cancel", headers=key).status_code == 409
    child = api.post(f"/runs/{run_id}/retry", headers=key)
    assert child.status_code == 202
    body = api.get(child.headers["Location"]).json
    assert (body["parent_run_id"], body["trigger"]) == (run_id, "retry")


def failed(api, key, source):
    """Return a run that broke off."""
    run = api.post("/etl/run", headers=key, json={"sources": [source]}).json["runs"][0]
    with api.transaction() as session:
        lifecycle.end(session, runs.active(session, source), RunStatus.FAILED)
    return run["run_id"]


def test_runs_that_broke_off_are_tried_again_together(api, key):
    older, newer, other = (failed(api, key, source) for source in ("csv", "csv", "rss"))
    answer = api.post("/runs/retry", headers=key, json={"status": ["failure"]})
    assert answer.status_code == 202
    entries = {entry["parent_run_id"]: entry for entry in answer.json["runs"]}
    assert [entries[run]["status"] for run in (newer, other, older)] == [
        "queued",
        "queued",
        "conflict",
    ]
    assert entries[newer]["run_id"] in entries[older]["reason"]
    child = api.get(entries[newer]["links"]["run"]).json
    assert (child["parent_run_id"], child["trigger"]) == (newer, "retry")
    with api.transaction() as session:
        audited = session.scalars(select(AuditEntry).where(AuditEntry.action == "run.retry")).all()
    assert {(entry.subject, entry.actor[:4]) for entry in audited} == {
        (newer, "key:"),
        (other, "key:"),
    }
    again = api.post("/runs/retry", headers=key, json={"source": "csv"})
    assert (again.status_code, again.json["source"]) == (409, "csv")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (None, 404),
        ({"source": "rss_feed"}, 404),
        ({"status": []}, 422),
        ({"status": ["success"]}, 422),
        ({"since": "yesterday"}, 422),
        ({"until": "2020-01-01"}, 404),
        ({"run_ids": []}, 422),
    ],
)
def test_a_bulk_retry_says_what_is_wrong_with_its_filter(api, key, body, status):
    failed(api, key, "csv")
    body = {"source": "coingecko"} if body is None else body
    assert api.post("/runs/retry", headers=key, json=body).status_code == status
    assert run_count(api) == 1


def test_the_events_of_a_run_end_with_its_final_state(api, key):
    run_id = api.post("/etl/run", headers=key, json={"sources": ["csv"]}).json["runs"][0]["run_id"]
    api.post(f"/runs/{run_id}/cancel", headers=key)
    stream = api.get(f"/runs/{run_id}/events")
    events = [line for line in stream.text.splitlines() if line.startswith("event: ")]
    assert stream.mimetype == "text/event-stream"
    assert events == ["event: run_queued", "event: run_cancelled", "event: end"]
    resumed = api.get(f"/runs/{run_id}/events", headers={"Last-Event-ID": "1"})
    assert "run_queued" not in resumed.text


def test_a_source_is_paused_and_resumed(api, key):
    paused = api.post("/sources/csv/pause", headers=key).json
    assert (paused["paused"], paused["next_run"]) == (True, None)
    resumed = api.post("/sources/csv/resume", headers=key).json
    assert resumed["paused"] is False
    assert resumed["next_run"] is not None
    assert api.post("/sources/nowhere/pause", headers=key).status_code == 404


def test_runs_are_listed_newest_first_under_their_older_names_too(api, key):
    for source in ("csv", "coingecko", "rss"):
        api.post("/etl/run", headers=key, json={"sources": [source]})
    with api.transaction() as session:
        csv_run = runs.active(session, "csv")
        lifecycle.end(session, csv_run, RunStatus.FAILED)
    body = api.get("/runs?limit=2").json
    assert [run["source"] for run in body["runs"]] == ["rss", "coingecko"]
    assert (body["total_count"], body["page"], body["per_page"]) == (3, 1, 2)
    failed = api.get("/runs?status=failure").json["runs"]
    assert [(run["source_name"], run["status"]) for run in failed] == [("csv", "failed")]
    assert [run["source"] for run in api.get("/runs?shape=array&source=rss_feed").json] == ["rss"]
    assert len(api.get("/runs?page=2&limit=2").json["runs"]) == 1
    cursor = body["pagination"]["next_cursor"]
    assert [r["source"] for r in api.get(f"/runs?limit=2&cursor={cursor}").json["runs"]] == ["csv"]
    assert api.get("/runs?limit=101").status_code == 422


def test_what_a_run_remembers_is_compact_json_in_every_format(api, key):
    asked = {"sources": ["csv"]}
    run_id = api.post("/etl/run", headers=key, json=asked).json["runs"][0]["run_id"]
    checkpoint = {"done": True, "feeds": {"a, b: c": ["x", 1]}}
    with api.transaction() as session:
        session.execute(update(Run).values(checkpoint_before=checkpoint))
    text = encoding.encode(checkpoint)
    for query in ("", "?shape=array", "?format=ndjson"):
        assert b'"checkpoint_before":' + text in api.get(f"/runs{query}").data
    (row,) = csv.DictReader(io.StringIO(api.get("/runs?format=csv").text))
    assert row["run_id"] == run_id
    assert row["checkpoint_before"].encode() == text
    parquet_file = io.BytesIO(api.get("/runs?format=parquet").data)
    (stored,) = parquet.read_table(parquet_file).to_pylist()
    assert stored["checkpoint_before"].encode() == text


def test_the_figures_tell_what_was_done(api, key):
    api.post("/etl/run", headers=key, json={"sources": ["csv", "rss"]})
    with api.transaction() as session:
        run = runs.active(session, "csv")
        runs.start(session, run.run_id)
        lifecycle.end(session, run, RunStatus.SUCCESS, records_processed=7, records_failed=1)
        lifecycle.end(session, runs.active(session, "rss"), RunStatus.FAILED, error=None)
    body = api.get("/stats").json
    figures = {row["source"]: row for row in body["sources"]}
    assert list(figures) == list(api.dependencies.settings.sources)
    assert (figures["csv"]["records_processed"], figures["csv"]["total_failed"]) == (7, 1)
    assert (figures["csv"]["success_rate"], figures["rss"]["success_rate"]) == (1.0, 0.0)
    assert (body["last_success"]["source"], body["last_success"]["processed"]) == ("csv", 7)
    assert body["last_failure"]["source"] == "rss"
    assert len(body["recent_runs"]) == 2
    (only,) = api.get("/stats?source=csv&shape=array").json
    assert only == figures["csv"]
    assert api.get("/stats?source=nowhere").status_code == 422
