"""``/quarantine``: rejected items, and what operators decide about them."""

from typing import Any

from flask import Response
from flask.views import MethodView

from service import rest
from service.observability.requests import request_id
from service.queries import operations
from service.schemas.quarantine import (
    QuarantineDiscarded,
    QuarantinePage,
    QuarantineQuery,
    QuarantineReplayed,
    QuarantineSelection,
)
from tasks.pipeline import quarantine
from tasks.pipeline.quarantine import Replayed
from tasks.store.rejections import Selection

blueprint = rest.Blueprint("quarantine", __name__, description="Rejected items.")


@blueprint.route("/quarantine")
class Quarantine(MethodView):
    """Rejected items."""

    @blueprint.requires("read")
    @blueprint.conditional("runs")
    @blueprint.arguments(QuarantineQuery, location="query")
    @blueprint.response(200, QuarantinePage)
    def get(self, query: dict[str, Any]) -> Response:
        """List rejected items with their payload, rule, field and reason, newest first."""
        names = ("source", "run_id", "rule", "field", "state")
        filters = {name: query[name] for name in names if name in query}
        listing = operations.rejections(filters)
        return rest.answer_list(listing, query, filters, stem="quarantine")


@blueprint.route("/quarantine/replay")
class Replay(MethodView):
    """Try rejected items again."""

    @blueprint.requires("run")
    @blueprint.arguments(QuarantineSelection, required=False)
    @blueprint.response(200, QuarantineReplayed)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Load open rejections that today's rules let through.

        What they still refuse stays open. Asking twice changes nothing. A source with an active
        run is a conflict: the whole answer is 409 if nothing could be tried, else it stands in
        that source's entry.
        """
        chosen = Selection(**body)
        done = quarantine.replay(rest.dependencies(), chosen, actor=rest.actor())
        figures = ("loaded", "superseded", "rejected")
        return {
            "status": "replayed",
            **{name: sum(getattr(outcome, name) for outcome in done) for name in figures},
            "replayed": [_outcome(outcome) for outcome in done],
            **_rest(chosen),
        }


@blueprint.route("/quarantine/discard")
class Discard(MethodView):
    """Give rejected items up."""

    @blueprint.requires("run")
    @blueprint.arguments(QuarantineSelection, required=False)
    @blueprint.response(200, QuarantineDiscarded)
    @blueprint.alt_response(404, "NOT_FOUND")
    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Close open rejections without loading them; they stay closed when they come again."""
        chosen = Selection(**body)
        ids = quarantine.discard(rest.dependencies(), chosen, actor=rest.actor())
        return {"status": "discarded", "discarded": len(ids), "ids": ids, **_rest(chosen)}


def _outcome(outcome: Replayed) -> dict[str, Any]:
    body = outcome._asdict() | {"status": "replayed" if outcome.run_id else "refused"}
    if outcome.conflict is not None:
        body |= {"status": "conflict", "run_id": outcome.conflict.context.get("active_run_id")}
        body |= {"reason": str(outcome.conflict)}
    return body


def _rest(chosen: Selection) -> dict[str, Any]:
    remaining = quarantine.count_open(rest.dependencies(), chosen)
    return {"remaining": remaining, "request_id": request_id()}
