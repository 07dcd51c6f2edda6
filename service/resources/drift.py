"""``/drift``: how what the sources send differs from what was accepted."""

from typing import Any

from flask import Response
from flask.views import MethodView

from service import pagination, rest
from service.observability.requests import request_id
from service.queries import findings
from service.schemas.findings import Decided, DriftPage, DriftQuery
from tasks.pipeline import drifts

blueprint = rest.Blueprint("drift", __name__, description="Changes in what the sources send.")


@blueprint.route("/drift")
class Drift(MethodView):
    """The log of schema drift."""

    @blueprint.requires("read")
    @blueprint.conditional("runs")
    @blueprint.arguments(DriftQuery, location="query")
    @blueprint.response(200, DriftPage)
    def get(self, query: dict[str, Any]) -> Response:
        """List schema drift, newest first."""
        filters = pagination.chosen(query, ("source", "status"))
        return rest.answer_list(findings.drift(filters), query, filters, stem="drift")


@blueprint.route("/drift/<int:drift_id>/accept")
class Accept(MethodView):
    """Accept a drift."""

    @blueprint.requires("run")
    @blueprint.response(200, Decided)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    def post(self, drift_id: int) -> dict[str, Any]:
        """Make a drift part of the accepted shape, so that it is not reported again."""
        drifts.accept(rest.dependencies(), drift_id, actor=rest.actor())
        return _decided(drift_id, "accepted")


@blueprint.route("/drift/<int:drift_id>/mute")
class Mute(MethodView):
    """Mute a drift."""

    @blueprint.requires("run")
    @blueprint.response(200, Decided)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    def post(self, drift_id: int) -> dict[str, Any]:
        """Stop reporting a drift without accepting it."""
        drifts.mute(rest.dependencies(), drift_id, actor=rest.actor())
        return _decided(drift_id, "muted")


def _decided(drift_id: int, status: str) -> dict[str, Any]:
    return {"drift_id": drift_id, "status": status, "request_id": request_id()}
