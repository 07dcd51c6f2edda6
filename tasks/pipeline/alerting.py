"""Tell the operator's webhook of every incident once, and once that it is over.

What is to be told stands in the incident's row, so it survives restarts. A message that was
accepted but whose acceptance was lost goes out again: the receiver knows it by ``id`` and
``event``.
"""

from datetime import timedelta
from typing import Any

from tasks.core.errors import TransientError
from tasks.core.logging import get_logger
from tasks.pipeline import webhook
from tasks.pipeline.dependencies import Dependencies
from tasks.store import anomalies
from tasks.store.tables import Anomaly

MOST_FAILURES = 12
"""Over some seven hours, the waits being doubled up to an hour."""
_WITHIN_S = 20.0
_LEASE = timedelta(seconds=60)
_FIRST_WAIT_S = 30.0
_LONGEST_WAIT_S = 3600.0
_log = get_logger(__name__)


def send_alerts(dependencies: Dependencies) -> int:
    """Send what is due and return how many messages were accepted."""
    if not dependencies.settings.alert_webhook_url:
        return 0
    ends_at = dependencies.clock.monotonic() + _WITHIN_S
    accepted = 0
    while dependencies.clock.monotonic() < ends_at:
        with dependencies.transaction() as session:
            incident = anomalies.claim_alert(session, lease=_LEASE)
        if incident is None or not _tell(dependencies, incident):
            break  # where one message was not accepted, the next would not be either
        accepted += 1
    return accepted


def _tell(dependencies: Dependencies, incident: Anomaly) -> bool:
    settings, opened = dependencies.settings, incident.opened_sent_at is None
    try:
        webhook.send(
            settings.alert_webhook_url,
            _payload(incident, opened=opened),
            secret=settings.alert_webhook_secret,
            now=dependencies.clock.now(),
        )
    except TransientError as error:
        _put_off(dependencies, incident, error)
        return False
    with dependencies.transaction() as session:
        anomalies.alert_sent(session, incident.anomaly_id, opened=opened)
    _log.info("alert_sent", anomaly_id=incident.anomaly_id, opened=opened)
    return True


def _put_off(dependencies: Dependencies, incident: Anomaly, error: TransientError) -> None:
    failures = incident.alert_failures + 1
    wait = None
    if failures < MOST_FAILURES:
        wait = timedelta(seconds=min(_FIRST_WAIT_S * 2.0**failures, _LONGEST_WAIT_S))
    with dependencies.transaction() as session:
        anomalies.alert_failed(session, incident.anomaly_id, wait=wait)
    log = _log.error if wait is None else _log.warning
    log("alert_not_sent", anomaly_id=incident.anomaly_id, failures=failures, reason=str(error))


def _payload(incident: Anomaly, *, opened: bool) -> dict[str, Any]:
    return {
        "event": "anomaly.opened" if opened else "anomaly.resolved",
        "id": incident.anomaly_id,
        "source": incident.source,
        "rule": incident.rule,
        "figure": incident.figure,
        "value": incident.value,
        "expected_low": incident.expected_low,
        "expected_high": incident.expected_high,
        "score": incident.score,
        "reason": incident.reason,
        "run_id": incident.run_id,
        "detected_at": incident.detected_at,
        "resolved_at": None if opened else incident.resolved_at,
    }
