"""The document of the API and its two readers, whose scripts come from installed packages."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import flask
from flask import Response, current_app, render_template, request, send_from_directory
from werkzeug.exceptions import NotFound

from service import encoding, rest

blueprint = flask.Blueprint("docs", __name__, template_folder="templates")
blueprint.before_request(rest.refuse_arguments)
ASSETS = {
    "swagger-ui.css": ("flask_swagger_ui", "dist"),
    "swagger-ui-bundle.js": ("flask_swagger_ui", "dist"),
    "favicon-32x32.png": ("flask_swagger_ui", "dist"),
    "redoc.standalone.js": ("flask_openapi3_redoc", "templates/redoc/js"),
}
"""File → the package that carries it, and where in it. None of the packages is ever imported."""
_DOCUMENT = "kasparro_document"
_making = Lock()
_DAY = "public, max-age=86400"
# The readers style their own markup and ReDoc starts a worker for its search.
_READER_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "worker-src 'self' blob:; frame-ancestors 'none'"
)


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """Serve the document."""
    response = Response(make_document(current_app), mimetype="application/json")
    response.add_etag()
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


@blueprint.get("/docs")
def swagger_ui() -> Response:
    """Show the document with Swagger UI."""
    return _page("swagger_ui.html")


@blueprint.get("/redoc")
def redoc() -> Response:
    """Show the document with ReDoc."""
    return _page("redoc.html")


@blueprint.get("/docs/assets/<name>")
def asset(name: str) -> Response:
    """Serve one of the readers' files."""
    if name not in ASSETS:
        raise NotFound
    response = send_from_directory(_directory(*ASSETS[name]), name)
    response.headers["Cache-Control"] = _DAY
    return response


def make_document(app: flask.Flask) -> bytes:
    """Return the OpenAPI document of an app, as bytes; made when it is first asked for."""
    with _making:
        if _DOCUMENT not in app.extensions:
            api: rest.Api = app.extensions["flask-smorest"]["apis"][""]["ext_obj"]
            app.extensions[_DOCUMENT] = encoding.encode(rest.complete(api.document()))
    document: bytes = app.extensions[_DOCUMENT]
    return document


def _page(template: str) -> Response:
    response = Response(render_template(template), mimetype="text/html")
    response.headers["Content-Security-Policy"] = _READER_POLICY
    response.headers["Cache-Control"] = "no-cache"
    return response


@cache
def _directory(package: str, inside: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        raise NotFound("The page's scripts are not installed.")
    return Path(found.origin).parent / inside
