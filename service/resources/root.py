"""``/``, ``/metrics`` and the document of the API with its two readers, served without internet."""

from flask import Response, current_app, request
from flask.views import MethodView

from service import encoding, rest
from service.observability import http_metrics
from service.observability.broker import RedisCollector
from service.observability.pipeline_metrics import PipelineCollector
from service.schemas.root import ServiceInfo
from service.version import VERSION
from tasks.messages import QUEUES

blueprint = rest.Blueprint("service", __name__, description="About the service itself.")
_ENDPOINTS = {
    "data": "/data",
    "stats": "/stats",
    "runs": "/runs",
    "trigger": "/etl/run",
    "health": "/health",
    "metrics": "/metrics",
    "openapi": "/openapi.json",
}


@blueprint.route("/")
class Root(MethodView):
    """The front door."""

    @blueprint.requires("read")
    @blueprint.response(200, ServiceInfo)
    @blueprint.alt_response(200, schema={"type": "string"}, content_type="text/html")
    def get(self) -> Response:
        """Say what this is; a browser gets the dashboard."""
        best = request.accept_mimetypes.best_match(["application/json", "text/html"])
        if best == "text/html":
            return rest.delivery().front_page()
        body = {
            "name": "kasparro",
            "version": VERSION,
            "status": "running",
            "endpoints": _ENDPOINTS,
            "docs": "/docs",
        }
        response = Response(encoding.encode(body), mimetype="application/json")
        response.headers["Cache-Control"] = "no-cache"
        response.vary.add("Accept")
        return response


@blueprint.route("/metrics")
class Metrics(MethodView):
    """Figures for Prometheus."""

    @blueprint.public()
    @blueprint.response(200, {"type": "string"}, content_type="text/plain")
    @blueprint.alt_response(
        200, schema={"type": "string"}, content_type="application/openmetrics-text"
    )
    def get(self) -> Response:
        """Show metrics of every process, as Prometheus text, or OpenMetrics if accepted."""
        delivery = rest.delivery()
        dependencies = delivery.dependencies
        text, content_type = http_metrics.expose(
            current_app,
            request.headers.get("Accept", ""),
            PipelineCollector(dependencies.engine, dependencies.settings.sources, VERSION),
            RedisCollector(
                delivery.redis,
                dependencies.clock,
                dependencies.settings.sources,
                QUEUES,
            ),
        )
        response = Response(text, content_type=content_type)
        response.headers["Cache-Control"] = "no-store"
        return response
