"""Runs held against their source's history, incidents, and what is told of them."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from tasks.core.clock import system_clock
from tasks.core.errors import ConflictError, NotFoundError, UnavailableError
from tasks.pipeline import alerting, comparison, judging, sweeping, webhook
from tasks.store import anomalies
from tests.support.engine import ScriptedConnector, coin, workbench
from tests.support.upstreams import answer, running_upstream

pytestmark = pytest.mark.integration
SECRET = "not-a-real-secret"


@pytest.fixture
def receiver():
    with running_upstream() as upstream:
        upstream.will(answer(b""))
        yield upstream


@pytest.fixture
def bench(settings, receiver):
    settings = replace(
        settings,
        alert_webhook_url=f"{receiver.url}/hook/private-path",
        alert_webhook_secret=SECRET,
    )
    with workbench(settings, ScriptedConnector()) as bench:
        yield bench


def run(bench, count, **values):
    """One run that brings ``count`` items; all of them have happened an hour apart."""
    second = bench.one("select count(*) as runs from etl_runs").runs
    at = f"2026-01-01T00:00:{second:02}Z"
    bench.connectors["coingecko"].pages = [[coin(f"c{n}", at=at) for n in range(count)]]
    run_id = bench.run(**values)
    with bench.dependencies.transaction() as session:
        session.execute(
            text(
                "update etl_runs set queued_at = queued_at - interval '1 hour',"
                " started_at = started_at - interval '1 hour',"
                " finished_at = finished_at - interval '1 hour'"
            )
        )
    return run_id


def findings(bench):
    return bench.rows("select * from anomalies order by anomaly_id")


def judgement(bench, run_id):
    return bench.one("select judgement from etl_runs where run_id = :id", id=run_id).judgement


def told(receiver):
    return [json.loads(asked.body)["event"] for asked in receiver.asked]


def test_a_run_of_a_tenth_is_flagged_and_absent_from_the_next_baseline(bench):
    for offset in range(20):
        run(bench, 50 + offset % 3 - 1)
    assert findings(bench) == []
    small = run(bench, 5)
    (found,) = findings(bench)
    assert (found.run_id, found.rule, found.state) == (small, "unusual_records_extracted", "open")
    assert (found.value, found.figure) == (5, "records_extracted")
    assert 40 < found.expected_low < 49
    assert 51 < found.expected_high < 60
    assert found.score < -3.5
    before = judgement(bench, small)["baselines"]["records_extracted"]
    after = judgement(bench, run(bench, 50))["baselines"]["records_extracted"]
    assert (after["runs"], after["low"]) == (20, before["low"])


def test_a_finding_is_counted_and_part_of_a_comparison(bench):
    for _ in range(7):
        usual = run(bench, 20)
    small = run(bench, 2)
    assert [
        (row.labels, row.value)
        for row in bench.rows("select * from metric_totals where name = 'data_anomalies_total'")
    ] == [({"source": "coingecko", "rule": "unusual_records_extracted"}, 1)]
    texts = comparison.compare(bench.dependencies, usual, small).comparison.anomalies
    assert any("records_extracted is 2; the last 7 runs say" in text for text in texts)


def test_an_incident_is_told_once_and_once_when_it_is_over(bench, receiver):
    for _ in range(7):
        run(bench, 20)
    for _ in range(3):
        run(bench, 2)
        alerting.send_alerts(bench.dependencies)
    assert told(receiver) == ["anomaly.opened"]
    rows = findings(bench)
    assert [row.incident_id for row in rows] == [None, *[rows[0].anomaly_id] * 2]
    run(bench, 20)
    for _ in range(3):
        alerting.send_alerts(bench.dependencies)
    assert told(receiver) == ["anomaly.opened", "anomaly.resolved"]
    assert {row.state for row in findings(bench)} == {"resolved"}
    run(bench, 2)
    alerting.send_alerts(bench.dependencies)
    assert told(receiver) == ["anomaly.opened", "anomaly.resolved", "anomaly.opened"]


def test_an_incident_that_was_over_before_it_was_told_is_told_in_order(bench, receiver):
    for count in (*[20] * 7, 2, 20):
        run(bench, count)
    assert alerting.send_alerts(bench.dependencies) == 2
    assert told(receiver) == ["anomaly.opened", "anomaly.resolved"]
    assert alerting.send_alerts(bench.dependencies) == 0


def test_a_message_is_signed_and_dated(bench, receiver):
    for count in (*[20] * 7, 2):
        run(bench, count)
    alerting.send_alerts(bench.dependencies)
    (asked,) = receiver.asked
    timestamp = asked.headers["X-Kasparro-Timestamp"]
    assert asked.headers["X-Kasparro-Signature"] == webhook.signature(SECRET, timestamp, asked.body)
    assert abs(int(timestamp) - system_clock().now().timestamp()) < 60
    assert json.loads(asked.body) | {"rule": "unusual_records_extracted", "value": 2} == json.loads(
        asked.body
    )


def test_the_signature_is_that_of_timestamp_and_body():
    """As `printf '1700000000.{}' | openssl dgst -sha256 -hmac key` gives it."""
    assert webhook.signature("key", "1700000000", b"{}") == (
        "sha256=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
    )


def make_due(bench):
    with bench.dependencies.transaction() as session:
        session.execute(
            text("update anomalies set alert_due_at = now() where alert_due_at is not null")
        )


def test_a_receiver_that_is_away_is_told_later_and_its_path_is_not_logged(
    bench, receiver, capsys, caplog
):
    receiver.replies.clear()
    receiver.will(answer(b"", 500), answer(b"", 302, location="/elsewhere"), answer(b"", 204))
    for count in (*[20] * 7, 2):
        run(bench, count)
    caplog.set_level("INFO")
    for _ in range(3):
        alerting.send_alerts(bench.dependencies)
        make_due(bench)
    assert told(receiver) == ["anomaly.opened"] * 3
    assert findings(bench)[0].opened_sent_at is not None
    assert alerting.send_alerts(bench.dependencies) == 0
    log = capsys.readouterr().out + caplog.text  # where it goes depends on who was set up before
    assert "alert_not_sent" in log
    assert "private-path" not in log
    assert SECRET not in log


def test_a_receiver_that_never_answers_is_given_up(bench):
    for count in (*[20] * 7, 2):
        run(bench, count)
    nowhere = replace(bench.dependencies.settings, alert_webhook_url="http://127.0.0.1:9/hook")
    bench.dependencies = replace(bench.dependencies, settings=nowhere)
    for _ in range(alerting.MOST_FAILURES):
        assert alerting.send_alerts(bench.dependencies) == 0
        assert alerting.send_alerts(bench.dependencies) == 0  # not due again yet
        make_due(bench)
    (found,) = findings(bench)
    assert (found.alert_due_at, found.alert_failures) == (None, alerting.MOST_FAILURES)


def test_an_acknowledged_incident_stays_so_until_it_is_over(bench):
    for count in (*[20] * 7, 2):
        run(bench, count)
    (found,) = findings(bench)
    with bench.dependencies.transaction() as session:
        anomalies.acknowledge(session, found.anomaly_id, actor="key:ops")
    run(bench, 2)
    assert [(row.state) for row in findings(bench)] == ["acknowledged"] * 2
    run(bench, 20)
    assert [(row.state) for row in findings(bench)] == ["resolved"] * 2
    with bench.dependencies.transaction() as session:
        with pytest.raises(ConflictError):
            anomalies.acknowledge(session, found.anomaly_id, actor="key:ops")
        with pytest.raises(NotFoundError):
            anomalies.acknowledge(session, 0, actor="key:ops")


def test_a_new_level_is_accepted_after_seven_runs(bench):
    for count in (*[20] * 7, *[60] * 7):
        run(bench, count)
    assert {row.state for row in findings(bench)} == {"open"}
    run(bench, 60)
    assert {row.state for row in findings(bench)} == {"resolved"}


def test_a_partial_past_is_no_past(bench):
    """Replays, dry runs and what a retry brought do not say how much a source has."""
    for _ in range(7):
        run(bench, 20, options={"dry_run": True})
    whole = run(bench, 2)
    assert judgement(bench, whole)["insufficient_history"]["records_extracted"] == 0
    assert findings(bench) == []


def test_a_failure_to_judge_does_not_fail_the_run(bench, monkeypatch):
    def fault(facts, history):
        raise ZeroDivisionError

    monkeypatch.setattr("tasks.domain.anomalies.judge", fault)
    run_id = run(bench, 3)
    row = bench.one("select * from etl_runs where run_id = :id", id=run_id)
    assert (row.status, row.judgement) == ("success", None)
    assert row.judged_at is not None


def test_what_could_not_be_judged_is_judged_by_the_sweeper(bench, monkeypatch):
    def away(facts, history):
        raise UnavailableError

    with monkeypatch.context() as patched:
        patched.setattr("tasks.domain.anomalies.judge", away)
        run_id = run(bench, 3)
    assert bench.one("select judged_at from etl_runs").judged_at is None
    sweeping.sweep(bench.dependencies)
    assert judgement(bench, run_id)["insufficient_history"]["records_extracted"] == 0
    assert judging.judge_due(bench.dependencies) == 0


def test_a_source_that_nobody_brings_up_to_date_is_late_until_somebody_does(bench, receiver):
    judging.watch_freshness(bench.dependencies)
    assert findings(bench) == []
    run(bench, 1)
    source = bench.connectors["coingecko"]
    late = system_clock().now() + timedelta(seconds=source.spec.fresh_for_s + 3600)
    clock = replace(system_clock(), now=lambda: late)
    bench.dependencies = replace(bench.dependencies, clock=clock)
    for _ in range(3):
        judging.watch_freshness(bench.dependencies)
    (found,) = findings(bench)
    assert (found.rule, found.run_id, found.state) == ("freshness", None, "open")
    bench.dependencies = replace(bench.dependencies, clock=system_clock())
    judging.watch_freshness(bench.dependencies)
    assert findings(bench)[0].state == "resolved"
    alerting.send_alerts(bench.dependencies)
    assert told(receiver) == ["anomaly.opened", "anomaly.resolved"]


def test_a_paused_source_is_not_late(bench):
    run(bench, 1)
    with bench.dependencies.transaction() as session:
        session.execute(
            text(
                "update etl_checkpoints set paused = true,"
                " last_success_at = now() - interval '40 years'"
            )
        )
    judging.watch_freshness(bench.dependencies)
    assert findings(bench) == []
