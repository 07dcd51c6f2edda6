"""What was noticed: anomalies of runs and drift of what the sources send."""

from typing import Any

from service.queries.columns import Columns
from service.queries.listing import Listing
from service.queries.ordering import Order
from tasks.store.tables import Anomaly, SchemaDriftLog

_ANOMALY = (
    "anomaly_id",
    "incident_id",
    "source",
    "run_id",
    "asset_id",
    "rule",
    "figure",
    "value",
    "expected_low",
    "expected_high",
    "score",
    "reason",
    "state",
    "detected_at",
    "acknowledged_at",
    "acknowledged_by",
    "resolved_at",
)
_DRIFT = (
    "drift_id",
    "source",
    "run_id",
    "schema_name",
    "confidence_score",
    "missing_fields",
    "extra_fields",
    "fuzzy_matches",
    "type_changes",
    "null_rate_changes",
    "warnings",
    "detected_at",
    "status",
    "occurrences",
    "last_seen_at",
)


def anomalies(filters: dict[str, Any]) -> Listing:
    """Return the anomalies, newest first.

    Args:
        filters: Any of the columns ``source``, ``state``, ``rule``.
    """
    columns: Columns = {name: getattr(Anomaly, name) for name in _ANOMALY}
    columns["status"] = Anomaly.state
    order = _newest_first(Anomaly.detected_at, Anomaly.anomaly_id)
    where = [getattr(Anomaly, name) == value for name, value in filters.items()]
    return Listing(columns=columns, source=Anomaly.__table__, order=order, where=where)


def drift(filters: dict[str, Any]) -> Listing:
    """Return the log of schema drift, newest first.

    Args:
        filters: Any of the columns ``source``, ``status``.
    """
    columns: Columns = {name: getattr(SchemaDriftLog, name) for name in _DRIFT}
    order = _newest_first(SchemaDriftLog.detected_at, SchemaDriftLog.drift_id)
    where = [getattr(SchemaDriftLog, name) == value for name, value in filters.items()]
    return Listing(columns=columns, source=SchemaDriftLog.__table__, order=order, where=where)


def _newest_first(moment: Any, row_id: Any) -> Order:
    return Order(key=moment, row_id=row_id, descending=True, id_descending=True, nullable=False)
