"""``/assets``: which asset an item is, where a person has to decide."""

from typing import Any

from flask import Response
from flask.views import MethodView

from service import rest
from service.observability.requests import request_id
from service.queries import links
from service.schemas.links import LinkAnswer, LinkBody, UnresolvedPage, UnresolvedQuery
from tasks.core.errors import NotFoundError
from tasks.pipeline import identifying

blueprint = rest.Blueprint("links", __name__, description="Which asset an item is.")


@blueprint.route("/assets/unresolved")
class Unresolved(MethodView):
    """Items without a certain asset."""

    @blueprint.requires("admin")
    @blueprint.conditional("data")
    @blueprint.arguments(UnresolvedQuery, location="query")
    @blueprint.response(200, UnresolvedPage)
    def get(self, query: dict[str, Any]) -> Response:
        """List items with likely twins that they could not be linked to, the best ranked first.

        Each has an asset of its own until it is decided. A decision is `POST /assets/links`: with
        a candidate's asset, or with the item's own to say that it is none of them.
        """
        filters = {"source": query["source"]} if "source" in query else {}
        return rest.answer_list(links.unresolved(filters), query, filters, stem="unresolved")


@blueprint.route("/assets/links")
class Links(MethodView):
    """Decisions of operators."""

    @blueprint.requires("admin")
    @blueprint.arguments(LinkBody)
    @blueprint.response(201, LinkAnswer)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Say which asset an item is; no run changes it afterwards.

        Prices and history move along, and what is published is decided anew. The same again
        changes nothing. An item that was linked to another asset is a conflict: take that link
        back first.
        """
        asset = body.get("id", body.get("asset_id"))
        item = (body["source"], body["external_id"])
        found = identifying.link(
            rest.dependencies(), item, asset, actor=rest.actor(), reason=body.get("reason")
        )
        return {**found._asdict(), "request_id": request_id()}


@blueprint.route("/assets/links/<source>/<path:external_id>")
class OneLink(MethodView):
    """A decision of an operator."""

    @blueprint.requires("admin")
    @blueprint.response(200, LinkAnswer)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    def delete(self, source: str, external_id: str) -> dict[str, Any]:
        """Take an operator's link back; the evidence decides again, as of today."""
        if "\x00" in source + external_id:
            raise NotFoundError("No item has such an id.")
        item = (source, external_id)
        found = identifying.unlink(rest.dependencies(), item, actor=rest.actor())
        return {**found._asdict(), "request_id": request_id()}
