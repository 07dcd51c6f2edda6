"""``/runs``: what was done to bring the sources up to date."""

from typing import Any
from uuid import UUID

from flask import Response, request
from flask.views import MethodView

from service import encoding, formats, pagination, rest
from service.observability.requests import request_id
from service.pagination import PageRequest
from service.queries import runs
from service.queries.listing import Listing
from service.schemas.runs import OLDER_STATUSES, RunDetail, RunPage, RunQuery, RunRow

blueprint = rest.Blueprint("runs", __name__, description="Attempts to bring a source up to date.")
_FILTERS = ("source", "status", "trigger", "since")


@blueprint.route("/runs")
class Runs(MethodView):
    """The list of runs."""

    @blueprint.requires("read")
    @blueprint.conditional("runs")
    @blueprint.arguments(RunQuery, location="query")
    @blueprint.response(200, rest.either(RunPage, RunRow))
    @blueprint.exports
    def get(self, query: dict[str, Any]) -> Response:
        """List runs, newest first."""
        filters = pagination.chosen(query, _FILTERS)
        if "status" in filters:
            filters["status"] = OLDER_STATUSES.get(filters["status"], filters["status"])
        listing = runs.listing(filters)
        form = formats.wanted(request)
        if form != "json":
            return rest.export_list(form, listing, query, "runs")
        bound_to = pagination.fingerprint("runs", filters)
        return _page(listing, query["paging"], bound_to, is_bare=query.get("shape") == "array")


def _page(listing: Listing, paging: PageRequest, bound_to: str, *, is_bare: bool) -> Response:
    page, facts = rest.read_page(listing, paging, bound_to)
    rows = f"[{','.join(page.bodies)}]".encode()
    body = rows if is_bare else _whole(rows, facts)
    response = Response(body, mimetype="application/json")
    rest.link_next(response, facts["next_cursor"])
    return response


def _whole(rows: bytes, facts: dict[str, Any]) -> bytes:
    about = rest.about_request()
    now = encoding.rfc3339(rest.dependencies().clock.now())
    members = {
        "request_id": about["request_id"],
        "runs": encoding.Verbatim(rows),
        "total_count": facts["total"],
        "page": facts["page"],
        "per_page": facts["per_page"],
        "timestamp": now,
        "api_latency_ms": about["api_latency_ms"],
        "pagination": facts,
        "meta": about,
    }
    return encoding.encode(members)


@blueprint.route("/runs/<uuid:run_id>")
class OneRun(MethodView):
    """One run."""

    @blueprint.requires("read")
    @blueprint.conditional("runs")
    @blueprint.response(200, RunDetail)
    def get(self, run_id: UUID) -> dict[str, Any]:
        """Show a run with its steps, events and rejections."""
        with rest.reading() as connection:
            found = runs.one(connection, run_id)
        return {**found, "request_id": request_id()}
