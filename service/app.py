"""The one place where the app is put together."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Response
from werkzeug.middleware.proxy_fix import ProxyFix

from service import compression, cors, rest
from service.dashboard import views as dashboard
from service.encoding import ExactJsonProvider
from service.observability import http_metrics, requests, traces
from service.resources import (
    anomalies,
    assets,
    comparisons,
    docs,
    drift,
    etl,
    health,
    links,
    market,
    news,
    operations,
    quarantine,
    root,
    run_actions,
    runs,
    stats,
)
from service.version import API_VERSION
from tasks.core.logging import get_logger
from tasks.pipeline.dependencies import Dependencies

BLUEPRINTS = (
    root.blueprint,
    health.blueprint,
    market.blueprint,
    assets.blueprint,
    news.blueprint,
    runs.blueprint,
    run_actions.blueprint,
    comparisons.blueprint,
    anomalies.blueprint,
    drift.blueprint,
    links.blueprint,
    stats.blueprint,
    etl.blueprint,
    operations.blueprint,
    quarantine.blueprint,
)
MAX_BODY_BYTES = 64 * 1024
_ABOUT = (
    "One trustworthy price per crypto asset, from many sources. Numbers keep every stored digit, "
    "times are RFC 3339 in UTC, errors are problem details (RFC 9457)."
)
_STANDING_HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_log = get_logger(__name__)


class Service(Flask):
    """Flask for views that are plain functions."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Take each function as it is: to look for coroutines cost each request dozens of calls."""
        return func


def create_app(dependencies: Dependencies) -> Flask:
    """Return the WSGI app over these parts of the engine; nothing is connected yet."""
    app = _configured()
    settings, clock = dependencies.settings, dependencies.clock
    delivery = rest.Delivery(dependencies, dashboard.page)
    app.extensions["kasparro"] = delivery
    traces.init_app(app)
    requests.init_app(app, clock=clock, engines=(dependencies.engine, delivery.reader))
    measure = http_metrics.init_app(app, clock)
    app.after_request(_add_standing_headers)
    cors.init_app(app, settings.cors_origins)
    app.after_request(rest.add_rate_limit_headers)
    compression.init_app(app)
    _register(app)
    app.wsgi_app = rest.FrontDoor(app.wsgi_app, delivery, measure)  # type: ignore[method-assign]
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    if settings.api_auth == "off":
        _log.warning("authentication_off", effect="anybody may start runs")
    return app


def describe() -> bytes:
    """Return the OpenAPI document; needs neither settings nor servers."""
    app = _configured()
    _register(app)
    return docs.make_document(app)


def _configured() -> Flask:
    app = Service("service", static_folder=None)
    app.json = ExactJsonProvider(app)
    app.config.from_mapping(
        API_TITLE="kasparro",
        API_VERSION=API_VERSION,
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={
            "info": {"description": _ABOUT, "license": {"name": "MIT", "identifier": "MIT"}},
            "servers": [{"url": "/"}],
        },
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        MAX_FORM_PARTS=1,
        PROPAGATE_EXCEPTIONS=False,
    )
    return app


def _register(app: Flask) -> None:
    api = rest.Api(app)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    app.register_blueprint(docs.blueprint)
    app.register_blueprint(dashboard.blueprint)


def _add_standing_headers(response: Response) -> Response:
    said = {name.lower() for name, _ in response.headers}
    response.headers.extend([pair for pair in _STANDING_HEADERS if pair[0].lower() not in said])
    return response
