"""``POST /etl/run``: start sources now."""

import hashlib
from typing import Any
from uuid import UUID

from flask import Response, g, request
from flask.views import MethodView
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from service import encoding, rest
from service.observability.requests import request_id
from service.schemas.runs import TriggerBody, Triggered
from tasks.core.errors import ConflictError, InvalidInputError
from tasks.pipeline import lifecycle
from tasks.store.tables import IdempotencyKey, Run

blueprint = rest.Blueprint("etl", __name__, description="Start sources.")
_OLDER_NAMES = {"rss_feed": "rss"}
_MAX_KEY_LENGTH = 255
_IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "maxLength": _MAX_KEY_LENGTH},
    "description": "The same key with the same body starts nothing twice and gets the same answer.",
}


class _Trigger(MethodView):
    @blueprint.requires("run")
    @blueprint.arguments(TriggerBody, required=False)
    @blueprint.response(202, Triggered)
    @blueprint.alt_response(403, "FORBIDDEN")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.alt_response(503, "SERVICE_UNAVAILABLE")
    @blueprint.doc(parameters=[_IDEMPOTENCY_KEY])
    def post(self, body: dict[str, Any]) -> Response:
        """Start runs of all enabled sources, or of those named.

        The runs are committed before the answer; with `"broker":"unavailable"` they wait for the
        broker and then start by themselves. A source that runs already is a conflict: the whole
        answer is 409 if nothing could be started, else it stands in that source's entry.
        `failure` needs the scope `admin` as well.
        """
        if "failure" in body:
            rest.require("admin")
        new: list[Run] = []
        with rest.writing() as session:
            answer = _once(session, body, new)
        queued = [UUID(run["run_id"]) for run in answer["runs"] if run["status"] == "queued"]
        if new:
            is_sent = lifecycle.announce_new(rest.dependencies(), new)
        else:
            is_sent = lifecycle.announce(rest.dependencies(), queued)
        answer |= {
            "broker": "connected" if is_sent else "unavailable",
            "request_id": request_id(),
        }
        # What comes back from jsonb has lost the order of its keys; the schema knows it.
        return rest.send(Triggered().dump(answer), 202, Location=f"/runs/{queued[0]}")


@blueprint.route("/etl/run", endpoint="trigger")
class Trigger(_Trigger):
    """The trigger."""


@blueprint.route("/trigger-etl", endpoint="trigger_alias")
class OlderTrigger(_Trigger):
    """The trigger under its older name."""


def _once(session: Session, body: dict[str, Any], new: list[Run]) -> dict[str, Any]:
    """Start the runs, unless this key has started them already; all in one transaction.

    Args:
        session: Of that transaction.
        body: What is asked for.
        new: Gets the runs that are started.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return _start(session, body, new)
    if not 0 < len(key) <= _MAX_KEY_LENGTH:
        raise InvalidInputError("Must have 1 to 255 characters.", field="Idempotency-Key")
    digest = hashlib.sha256(encoding.encode(sorted(body.items()))).digest()
    # Two requests with one key wait for each other here; the second finds the first one's answer.
    session.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"{g.actor}:{key}", 0)))
    )
    known = session.get(IdempotencyKey, (g.actor, key))
    if known is None:
        answer = _start(session, body, new)
        row = {"actor": g.actor, "key": key, "body_sha256": digest, "response": answer}
        session.execute(insert(IdempotencyKey).values(row))
        return answer
    if known.body_sha256 != digest:
        raise InvalidInputError("This key was used with another body.", field="Idempotency-Key")
    return dict(known.response)


def _start(session: Session, body: dict[str, Any], new: list[Run]) -> dict[str, Any]:
    sources = _sources(body)
    queued = lifecycle.queue_runs(
        rest.dependencies(),
        session,
        sources,
        trigger="api",
        options=body,
        request_id=request_id(),
    )
    outcomes = [_outcome(session, source, queued[source], body, new) for source in sources]
    started = [run for run in outcomes if run["status"] == "queued"]
    if not started:
        conflict = outcomes[0]
        names = ", ".join(run["source"] for run in outcomes)
        raise ConflictError(
            f"There is an active run already: {names}.",
            active_run_id=conflict["run_id"],
            source=conflict["source"],
        )
    return {
        "status": "triggered",
        "timestamp": encoding.rfc3339(rest.dependencies().clock.now()),
        "message": f"Started {len(started)} of {len(outcomes)} sources.",
        "broker": "connected",
        "runs": outcomes,
        "request_id": request_id(),
    }


def _outcome(
    session: Session,
    source: str,
    queued: Run | ConflictError,
    body: dict[str, Any],
    new: list[Run],
) -> dict[str, Any]:
    if isinstance(queued, ConflictError):
        return _entry(queued.context.get("active_run_id"), source, "conflict")
    rest.audit(session, "run.start", str(queued.run_id), {"source": source, **body})
    new.append(queued)
    return _entry(str(queued.run_id), source, "queued")


def _entry(run_id: str | None, source: str, status: str) -> dict[str, Any]:
    links = {"run": f"/runs/{run_id}", "events": f"/runs/{run_id}/events"} if run_id else {}
    return {"run_id": run_id, "source": source, "status": status, "links": links}


def _sources(body: dict[str, Any]) -> list[str]:
    enabled = rest.dependencies().settings.sources
    wanted = [name.lower() for name in body.get("sources", enabled)]
    names = list(dict.fromkeys(_OLDER_NAMES.get(name, name) for name in wanted))
    unknown = [name for name in names if name not in enabled]
    if unknown:
        raise InvalidInputError(
            f"Unknown: {', '.join(unknown)}; enabled are {', '.join(enabled)}.", field="sources"
        )
    return names
