"""The metrics that clients rely on, and what an exposition has of them."""

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

CONTRACT: dict[str, tuple[str, tuple[str, ...]]] = {
    "etl_runs_total": ("counter", ("source", "status")),
    "etl_records_processed_total": ("counter", ("source",)),
    "etl_records_rejected_total": ("counter", ("source", "reason")),
    "etl_run_duration_seconds": ("histogram", ("source",)),
    "etl_duration_seconds_avg": ("gauge", ("source",)),
    "etl_last_run_timestamp": ("gauge", ("source",)),
    "etl_last_success_timestamp": ("gauge", ("source",)),
    "etl_failures_24h": ("gauge", ("source",)),
    "etl_source_freshness_seconds": ("gauge", ("source",)),
    "etl_stage_seconds": ("histogram", ("source", "stage")),
    "etl_queue_depth": ("gauge", ("queue",)),
    "etl_queue_wait_seconds": ("histogram", ()),
    "etl_retries_total": ("counter", ("source", "stage")),
    "etl_rate_limit_wait_seconds": ("gauge", ("source",)),
    "etl_source_requests_total": ("counter", ("source", "code")),
    "etl_budget_remaining": ("gauge", ("source", "window")),
    "etl_circuit_state": ("gauge", ("source",)),
    "crypto_coins_total": ("gauge", ("source",)),
    "crypto_total_market_cap": ("gauge", ("source",)),
    "schema_drift_events_total": ("counter", ("source",)),
    "schema_drift_confidence_avg": ("gauge", ("source",)),
    "schema_drift_events_24h": ("gauge", ("source",)),
    "data_anomalies_total": ("counter", ("source", "rule")),
    "api_requests_total": ("counter", ("endpoint", "method", "code")),
    "api_request_duration_seconds": ("histogram", ("endpoint",)),
    "build_info": ("gauge", ("version",)),
}
"""Section 3 of the wire contract: name → type and labels."""
RARE = {
    "etl_records_rejected_total",
    "etl_retries_total",
    "data_anomalies_total",
    "schema_drift_confidence_avg",
}
"""Without a sample as long as nothing goes wrong, for their labels are not known before."""


def departures(exposition: str) -> Iterator[str]:
    """Say where an exposition of a system that has run every source is not what it should be."""
    shown = {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(exposition)
    }
    for name, (kind, labels) in CONTRACT.items():
        if name not in shown:
            yield f"{name} is missing"
            continue
        family = shown[name]
        samples = [each for each in family.samples if not each.name.endswith("_created")]
        if family.type != kind:
            yield f"{name} is a {family.type}"
        if not samples and name not in RARE:
            yield f"{name} has no sample"
        if {label for each in samples for label in each.labels} - {"le"} - set(labels):
            yield f"{name} has labels of its own"
        if any(set(labels) - set(each.labels) for each in samples):
            yield f"{name} misses one of {labels}"
