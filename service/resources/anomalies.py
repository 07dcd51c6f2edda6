"""``/anomalies``: what was remarkable about runs, and who has seen it."""

from typing import Any

from flask import Response
from flask.views import MethodView

from service import pagination, rest
from service.queries import findings
from service.schemas.findings import AnomalyPage, AnomalyQuery, AnomalyRow
from tasks.store import anomalies, versions
from tasks.store.tables import Anomaly

blueprint = rest.Blueprint("anomalies", __name__, description="What was remarkable about runs.")


@blueprint.route("/anomalies")
class Anomalies(MethodView):
    """The list of anomalies."""

    @blueprint.requires("read")
    @blueprint.conditional("runs")
    @blueprint.arguments(AnomalyQuery, location="query")
    @blueprint.response(200, AnomalyPage)
    def get(self, query: dict[str, Any]) -> Response:
        """List anomalies, newest first."""
        filters = pagination.chosen(query, ("source", "rule"))
        state = query.get("state", query.get("status"))
        if state is not None:
            filters["state"] = state
        return rest.answer_list(findings.anomalies(filters), query, filters, stem="anomalies")


@blueprint.route("/anomalies/<int:anomaly_id>/acknowledge")
class Acknowledge(MethodView):
    """Note that somebody has seen it."""

    @blueprint.requires("run")
    @blueprint.response(200, AnomalyRow)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    def post(self, anomaly_id: int) -> dict[str, Any]:
        """Acknowledge an incident: this finding and all others that belong to it."""
        with rest.writing() as session:
            found = anomalies.acknowledge(session, anomaly_id, actor=rest.actor().name)
            rest.audit(session, "anomaly.acknowledge", f"anomaly/{anomaly_id}", {})
            versions.bump(session, "runs")
            return _row(found)


def _row(found: Anomaly) -> dict[str, Any]:
    return {name: getattr(found, name) for name in AnomalyRow().fields if name != "status"} | {
        "status": found.state
    }
