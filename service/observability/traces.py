"""Each request as a span, which goes on with the caller's trace if it brought one along."""

from contextlib import ExitStack
from http import HTTPStatus

from flask import Flask, Response, g, request

from service.observability.http_metrics import url_rule
from service.observability.requests import QUIET
from tasks.core import tracing


def init_app(app: Flask) -> None:
    """Trace the requests of this app; without traces, nothing is registered."""
    if tracing.is_on():
        app.before_request(_begin)
        app.after_request(_note)
        app.teardown_request(_end)


def _begin() -> None:
    if request.path in QUIET:
        return
    rule = url_rule(request)
    facts = {"http.request.method": request.method, "http.route": rule}
    carrier = {"traceparent": request.headers.get("traceparent", "")}
    g.span = ExitStack()
    g.span.enter_context(
        tracing.span(f"{request.method} {rule}", facts, kind="server", carrier=carrier)
    )


def _note(response: Response) -> Response:
    if "span" in g:
        facts = {"http.response.status_code": response.status_code, "request_id": g.request_id}
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            facts["error.type"] = str(response.status_code)
        tracing.note(facts)
    return response


def _end(_error: BaseException | None) -> None:
    if "span" in g:
        g.pop("span").close()
