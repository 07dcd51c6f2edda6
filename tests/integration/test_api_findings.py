"""Comparisons, anomalies and drift through HTTP."""

from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import insert, select

from tasks.store.tables import Anomaly, AuditEntry, SchemaDriftLog
from tests.support.api import exact


@pytest.fixture
def key(api):
    return {"X-API-Key": api.key("run")}


def cancelled(api, key, source):
    started = api.post("/etl/run", headers=key, json={"sources": [source]}).json["runs"][0]
    api.post(f"/runs/{started['run_id']}/cancel", headers=key)
    return started["run_id"]


def test_a_run_compared_with_itself_differs_in_nothing(api, key):
    run_id = cancelled(api, key, "csv")
    response = api.get(f"/compare-runs?run1_id={run_id}&run2_id={run_id}")
    assert response.status_code == 200
    found = response.json["comparison"]
    assert (response.json["run1"]["run_id"], found["run2_id"]) == (run_id, run_id)
    assert (found["source"], found["status_changed"]) == ("csv", False)
    assert found["changes"] == {"added": 0, "removed": 0, "changed": 0, "unchanged": 0}


def test_runs_that_cannot_be_compared_say_why(api, key):
    one, other = cancelled(api, key, "csv"), cancelled(api, key, "rss")
    active = api.post("/etl/run", headers=key, json={"sources": ["csv"]}).json["runs"][0]["run_id"]
    answers = [
        api.get(f"/compare-runs?run1_id={one}&run2_id={second}").status_code
        for second in (other, uuid4(), active)
    ]
    assert answers == [400, 404, 409]


def test_a_run_shows_its_anomalies_and_they_are_acknowledged(api, key):
    run_id = cancelled(api, key, "csv")
    row = {
        "source": "csv",
        "run_id": run_id,
        "rule": "zero",
        "figure": "records",
        "reason": "None.",
    }
    with api.transaction() as session:
        number = session.scalar(insert(Anomaly).values(row).returning(Anomaly.anomaly_id))
    (listed,) = api.get("/runs").json["runs"]
    assert [found["reason"] for found in listed["anomalies"]] == ["None."]
    assert (
        api.post(f"/anomalies/{number}/acknowledge", headers=key).json["status"] == "acknowledged"
    )
    (found,) = api.get("/anomalies?source=csv&rule=zero&status=acknowledged").json["data"]
    assert (found["run_id"], found["acknowledged_by"][:4]) == (run_id, "key:")
    assert api.get("/anomalies?state=open").json["data"] == []
    (anomaly,) = api.get(f"/runs/{run_id}").json["anomalies"]
    assert anomaly["state"] == "acknowledged"
    with api.transaction() as session:
        actions = session.scalars(select(AuditEntry.action)).all()
    assert "anomaly.acknowledge" in actions


def test_drift_is_listed_and_muted(api, key):
    row = {"source": "csv", "schema_name": "row", "fingerprint": "f", "elements": ["a"]}
    row |= {"confidence_score": Decimal("0.9"), "missing_fields": ["a"], "extra_fields": []}
    row |= {"fuzzy_matches": [], "type_changes": {}, "null_rate_changes": {}, "warnings": []}
    with api.transaction() as session:
        number = session.scalar(
            insert(SchemaDriftLog).values(**row, overlay={}).returning(SchemaDriftLog.drift_id)
        )
    (found,) = exact(api.get("/drift?source=csv&status=open"))["data"]
    assert (found["confidence_score"], found["missing_fields"]) == (Decimal("0.9"), ["a"])
    assert api.post(f"/drift/{number}/mute").status_code == 401
    assert api.post(f"/drift/{number}/mute", headers=key).json["status"] == "muted"
    assert api.get("/drift?status=open").json["data"] == []
    assert 'schema_drift_confidence_avg{source="csv"} 0.9' in api.get("/metrics").text
