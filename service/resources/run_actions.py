"""What one can do to a run: watch it, cancel it, try it again, replay it."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from flask import Response, request
from flask.views import MethodView

from service import encoding, rest
from service.observability.requests import request_id
from service.queries import runs
from service.schemas.runs import OLDER_STATUSES, RetryBody, Triggered
from tasks.core.errors import ConflictError, NotFoundError
from tasks.domain.runs import FINAL
from tasks.pipeline import lifecycle, replaying, retrying
from tasks.pipeline.retrying import Retried
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
        with rest.writing() as session:
            source = lifecycle.cancel(session, run_id).source
            rest.audit(session, "run.cancel", str(run_id), {"source": source})
        return _accepted("cancelled", run_id, source, "The run was cancelled.")


@blueprint.route("/runs/<uuid:run_id>/retry")
class Retry(MethodView):
    """Try a run again."""

    @blueprint.requires("run")
    @blueprint.response(202, Triggered)
    @blueprint.alt_response(409, "CONFLICT")
    def post(self, run_id: UUID) -> Response:
        """Start a child run at the first step that did not finish; fetched pages are used again."""
        return _start_child(retrying.queue_retry, "retry", run_id, "The run is tried again.")


@blueprint.route("/runs/retry")
class RetryMany(MethodView):
    """Try several runs again."""

    @blueprint.requires("run")
    @blueprint.arguments(RetryBody, required=False)
    @blueprint.response(202, Triggered)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    def post(self, body: dict[str, Any]) -> Response:
        """Start a child of every run that broke off and matches, the newest of each source.

        A run that cannot be tried again says why in its entry; if none can, the answer is 409.
        """
        if "status" in body:
            body["statuses"] = [OLDER_STATUSES.get(name, name) for name in body.pop("status")]
        outcomes = retrying.retry_matching(rest.dependencies(), actor=rest.actor(), **body)
        if not outcomes:
            raise NotFoundError("There is no such run that broke off.")
        started = [outcome for outcome in outcomes if outcome.child_run_id is not None]
        if not started:
            raise ConflictError(outcomes[0].reason or "", source=outcomes[0].source)
        message = f"{len(started)} of {len(outcomes)} runs are tried again."
        return _answer("triggered", [_retried(outcome) for outcome in outcomes], message)


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
    entry = {"run_id": str(run_id), "source": source, "status": status, "links": _links(run_id)}
    return _answer("triggered" if status == "queued" else status, [entry], message)


def _retried(outcome: Retried) -> dict[str, Any]:
    entry = {"source": outcome.source, "parent_run_id": str(outcome.run_id)}
    if outcome.child_run_id is None:
        return entry | {"run_id": None, "status": "conflict", "reason": outcome.reason, "links": {}}
    links = _links(outcome.child_run_id)
    return entry | {"run_id": str(outcome.child_run_id), "status": "queued", "links": links}


def _links(run_id: UUID) -> dict[str, str]:
    return {"run": f"/runs/{run_id}", "events": f"/runs/{run_id}/events"}


def _answer(status: str, entries: list[dict[str, Any]], message: str) -> Response:
    body = {
        "status": status,
        "timestamp": encoding.rfc3339(rest.dependencies().clock.now()),
        "message": message,
        "runs": entries,
        "request_id": request_id(),
    }
    first = next(entry["run_id"] for entry in entries if entry["run_id"])
    return rest.send(Triggered().dump(body), 202, Location=f"/runs/{first}")


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
