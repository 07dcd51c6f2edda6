"""The front door, the documents, the metrics, the health."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as families

from tasks.coordination import workers
from tasks.domain.runs import RunStatus
from tasks.pipeline import lifecycle
from tasks.store import checkpoints, runs, totals
from tests.support.api import add_asset, add_quote

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_a_program_gets_the_service_info_and_a_browser_the_dashboard(api):
    with api.transaction() as session:
        add_asset(session, name="<script>alert(1)</script>", price_usd=1, rank=1)
    info = api.get("/").json
    assert (info["name"], info["docs"]) == ("kasparro", "/docs")
    assert set(info) == {"name", "version", "status", "endpoints", "docs"}
    page = api.get("/", headers=HTML)
    assert page.mimetype == "text/html"
    assert "&lt;script&gt;alert" in page.text
    assert "<script>alert" not in page.text


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_a_page_loads_nothing_from_elsewhere(still_api, path):
    page = still_api.get(path)
    sources = [part.split('"')[1] for part in page.text.replace("href=", "src=").split("src=")[1:]]
    assert sources
    for source in sources:
        with still_api.get(source) as asset:
            assert (source, asset.status_code) == (source, 200)
    assert "'self'" in page.headers["Content-Security-Policy"]


def test_no_other_file_is_served(still_api):
    for path in ("/docs/assets/__init__.py", "/docs/assets/../__init__.py", "/static/../views.py"):
        assert still_api.get(path).status_code == 404


def parsed(text):
    return {family.name: family for family in families(text)}


def test_counters_come_from_the_database_and_histograms_are_cumulative(api):
    with api.transaction() as session:
        run = lifecycle.queue_run(api.dependencies, session, "csv", trigger="cli")
        runs.start(session, run.run_id)
        lifecycle.end(session, run, RunStatus.FAILED, records_processed=5)
        for seconds in (0.02, 0.2, 7.0, 99_999.0):
            totals.observe(session, "etl_stage_seconds", seconds, source="csv", stage="load")
        totals.add(session, "etl_records_rejected_total", 3, source="csv", reason="type")
    found = parsed(api.get("/metrics").text)
    failed = [
        s for s in found["etl_runs"].samples if s.labels == {"source": "csv", "status": "failed"}
    ]
    assert [sample.value for sample in failed] == [1.0]
    assert found["etl_runs"].type == "counter"
    (rejected,) = found["etl_records_rejected"].samples
    assert (rejected.value, rejected.labels["reason"]) == (3.0, "type")
    stage = found["etl_stage_seconds"]
    assert stage.type == "histogram"
    buckets = [s.value for s in stage.samples if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 4
    assert found["etl_failures_24h"].type == "gauge"
    values = {s.labels["source"]: s.value for s in found["etl_failures_24h"].samples}
    assert values["csv"] == 1


CONTRACT = {
    "etl_runs": "counter",
    "etl_records_processed": "counter",
    "etl_records_rejected": "counter",
    "etl_run_duration_seconds": "histogram",
    "etl_duration_seconds_avg": "gauge",
    "etl_last_run_timestamp": "gauge",
    "etl_last_success_timestamp": "gauge",
    "etl_failures_24h": "gauge",
    "etl_source_freshness_seconds": "gauge",
    "etl_stage_seconds": "histogram",
    "etl_queue_depth": "gauge",
    "etl_queue_wait_seconds": "histogram",
    "etl_retries": "counter",
    "etl_give_ups": "counter",
    "etl_resent": "counter",
    "etl_put_off": "counter",
    "etl_rate_limit_wait_seconds": "gauge",
    "etl_source_requests": "counter",
    "etl_budget_remaining": "gauge",
    "etl_circuit_state": "gauge",
    "crypto_coins_total": "gauge",
    "crypto_total_market_cap": "gauge",
    "schema_drift_events": "counter",
    "schema_drift_confidence_avg": "gauge",
    "schema_drift_events_24h": "gauge",
    "data_anomalies": "counter",
    "api_requests": "counter",
    "api_request_duration_seconds": "histogram",
    "build_info": "gauge",
}


def test_every_metric_of_the_contract_is_there_with_its_type(api):
    api.get("/data")
    found = parsed(api.get("/metrics").text)
    assert {name: found[name].type for name in CONTRACT if name in found} == CONTRACT


def test_openmetrics_is_given_to_who_accepts_it(api):
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    response = api.get("/metrics", headers=accept)
    assert response.mimetype == "application/openmetrics-text"
    assert "etl_runs" in {family.name for family in openmetrics(response.text)}


def test_requests_are_counted_by_rule_and_not_by_path(api):
    for path in ("/data/A", "/data/B", "/wp-login.php", "/.env"):
        api.get(path)
    samples = parsed(api.get("/metrics").text)["api_requests"].samples
    counts = {s.labels["endpoint"]: s.value for s in samples if s.labels["code"] == "404"}
    assert counts == {"/data/<path:asset_id>": 2.0, "unmatched": 2.0}


def test_health_is_degraded_until_workers_are_there_and_data_is_fresh(api):
    assert api.get("/health").json["status"] == "degraded"
    with api.transaction() as session:
        for source in api.dependencies.settings.sources:
            run = lifecycle.queue_run(api.dependencies, session, source, trigger="cli")
            runs.start(session, run.run_id)
            lifecycle.end(session, run, RunStatus.SUCCESS, records_processed=4)
            checkpoints.move(session, source, {}, run_id=run.run_id)
    workers.mark_seen(api.dependencies.redis, "one")
    body = api.get("/health").json
    assert (body["status"], body["workers"], body["broker"]) == ("healthy", 1, "connected")
    csv = body["etl_status"]["csv"]
    assert (csv["last_run_status"], csv["freshness"], csv["circuit"]) == (
        "success",
        "fresh",
        "closed",
    )
    assert csv["data_age_seconds"] >= 0
    assert body["last_etl_run"]["processed"] == 4
    assert body["last_etl_status"] == "success"


def test_sources_show_their_set_up_without_their_secrets(api):
    with api.transaction() as session:
        add_quote(session, add_asset(session), "csv")
    rows = {row["name"]: row for row in api.get("/sources").json["sources"]}
    assert list(rows) == list(api.dependencies.settings.sources)
    coingecko = rows["coingecko"]
    assert (coingecko["schedule"], coingecko["has_key"]) == ("0 */6 * * *", False)
    assert coingecko["budget_remaining"] == {"minute": 10}
    following = datetime.fromisoformat(coingecko["next_run"])
    assert timedelta(0) < following - datetime.now(UTC) <= timedelta(hours=6)
