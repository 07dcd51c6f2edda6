"""What one can do to a run: watch it, cancel it, try it again, replay it."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from flask import Response, request
from flask.views import MethodView

from service import encoding, rest
from service.observability.requests import request_id
from service.queries import runs
from service.schemas.runs import Triggered
from tasks.domain.runs import FINAL
from tasks.pipeline import lifecycle, replaying, retrying
from tasks.store import runs as stored_runs
from tasks.store.tables import Run

blueprint = rest.Blueprint("run_actions", __name__, description="What to do with runs.")
_POLL_S = 0.5
_BEAT_EVERY = 20
# A stream keeps a thread busy. One that ends before its run does is taken up by a browser where it
# ended, with Last-Event-ID.
_WATCH_AT_MOST_S = 600.0
_COME_BACK_MS = 1000
_EVENT = {
    "type": "object",
    "description": "Each event of the stream.",
    "properties": {
        "id": {"type": "string", "description": "Number of the event, for `Last-Event-ID`."},
        "event": {"type": "string", "description": "What happened; `end` is the last."},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {"type": "integer", "description": "Milliseconds until to ask again."},
    },
}


@blueprint.route("/runs/<uuid:run_id>/events")
class Events(MethodView):
    """A run as it goes on."""

    @blueprint.requires("read")
    @blueprint.response(200, _EVENT, content_type="text/event-stream")
    def get(self, run_id: UUID) -> Response:
        """Send each step of a run as a server-sent event, and at its end the run itself.

        `Last-Event-ID` goes on after an event that was seen. A stream ends after ten minutes
        even if the run has not, without the event `end`: then ask again.
        """
        last = request.headers.get("Last-Event-ID", "0")
        after = int(last) if last.isascii() and last.isdigit() else 0
        with rest.reading() as connection:
            runs.status(connection, run_id)
        response = rest.lasting(_watch(run_id, after), "text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"
        return response


@blueprint.route("/runs/<uuid:run_id>/cancel")
class Cancel(MethodView):
    """Stop a run."""

    @blueprint.requires("run")
    @blueprint.response(202, Triggered)
    @blueprint.alt_response(409, "CONFLICT")
    def post(self, run_id: UUID) -> Response:
        """Stop a run at its next page boundary; what is loaded stays."""
        lifecycle.cancel(rest.dependencies(), run_id)
        with rest.writing() as session:
            run = stored_runs.get(session, run_id)
            rest.audit(session, "run.cancel", str(run_id), {"source": run.source})
        return _accepted("cancelled", run_id, run.source, "The run was cancelled.")


@blueprint.route("/runs/<uuid:run_id>/retry")
class Retry(MethodView):
    """Try a run again."""

    @blueprint.requires("run")
    @blueprint.response(202, Triggered)
    @blueprint.alt_response(409, "CONFLICT")
    def post(self, run_id: UUID) -> Response:
        """Start a child run at the first step that did not finish; fetched pages are used again."""
        return _start_child(retrying.queue_retry, "retry", run_id, "The run is tried again.")


@blueprint.route("/runs/<uuid:run_id>/replay")
class Replay(MethodView):
    """Load again what a run brought."""

    @blueprint.requires("run")
    @blueprint.response(202, Triggered)
    @blueprint.alt_response(409, "CONFLICT")
    def post(self, run_id: UUID) -> Response:
        """Normalise the stored pages of a run by today's rules, without a call to its source."""
        return _start_child(replaying.queue_replay, "replay", run_id, "The run is replayed.")


def _start_child(queue: Callable[..., Run], verb: str, run_id: UUID, message: str) -> Response:
    dependencies = rest.dependencies()
    with rest.writing() as session:
        child = queue(dependencies, session, run_id, request_id=request_id())
        child_id, source = child.run_id, child.source
        rest.audit(session, f"run.{verb}", str(run_id), {"child": str(child_id)})
    lifecycle.announce(dependencies, [child_id])
    return _accepted("queued", child_id, source, message)


def _accepted(status: str, run_id: UUID, source: str, message: str) -> Response:
    links = {"run": f"/runs/{run_id}", "events": f"/runs/{run_id}/events"}
    body = {
        "status": "triggered" if status == "queued" else status,
        "timestamp": encoding.rfc3339(rest.dependencies().clock.now()),
        "message": message,
        "runs": [{"run_id": str(run_id), "source": source, "status": status, "links": links}],
        "request_id": request_id(),
    }
    return rest.send(Triggered().dump(body), 202, Location=f"/runs/{run_id}")


def _watch(run_id: UUID, after: int) -> Iterator[bytes]:
    clock = rest.dependencies().clock
    deadline = clock.monotonic() + _WATCH_AT_MOST_S
    turn = 0
    yield f"retry: {_COME_BACK_MS}\n\n".encode()
    while clock.monotonic() < deadline:
        with rest.reading() as connection:  # the status first: no event can come after a final one
            status = runs.status(connection, run_id)
            found = runs.events(connection, run_id, after=after)
        for event in found:
            after = event["event_id"]
            yield _event(event["event"], event, str(after))
        if status in FINAL:
            yield _event("end", {"run_id": str(run_id), "status": status})
            return
        turn += 1
        if turn % _BEAT_EVERY == 0:  # proxies close what says nothing
            yield b": still here\n\n"
        clock.sleep(_POLL_S)


def _event(name: str, body: dict[str, Any], number: str = "") -> bytes:
    if "at" in body:
        body = {**body, "at": encoding.rfc3339(body["at"])}
    lines = [f"id: {number}"] if number else []
    lines += [f"event: {name}", f"data: {encoding.encode(body).decode()}"]
    return ("\n".join(lines) + "\n\n").encode()
