"""``/compare-runs``: how one run differs from another."""

from typing import Any

from flask.views import MethodView

from service import rest
from service.observability.requests import request_id
from service.queries import runs
from service.schemas.comparisons import ComparedRuns, CompareQuery
from tasks.pipeline import comparison

blueprint = rest.Blueprint("comparisons", __name__, description="How runs differ.")


@blueprint.route("/compare-runs")
class CompareRuns(MethodView):
    """Two runs beside each other."""

    @blueprint.requires("read")
    @blueprint.arguments(CompareQuery, location="query")
    @blueprint.response(200, ComparedRuns)
    @blueprint.alt_response(400, "BAD_REQUEST")
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """Compare two finished runs of one source; `run1_id` is the baseline."""
        dependencies = rest.dependencies()
        before, after = query["run1_id"], query["run2_id"]
        found = comparison.compare(dependencies, before, after).comparison
        with rest.reading() as connection:
            run1, run2 = runs.row(connection, before), runs.row(connection, after)
        return {
            "request_id": request_id(),
            "timestamp": dependencies.clock.now(),
            "run1": run1,
            "run2": run2,
            "comparison": {**vars(found), "run1_id": before, "run2_id": after},
        }
