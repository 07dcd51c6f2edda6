"""Trying a run again: a child run that begins at the first step that did not finish."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core.errors import CallerError, ConflictError
from tasks.domain.runs import ACTIVE, BACKFILL, COMPLETED, FINAL, RunStatus
from tasks.pipeline import lifecycle
from tasks.pipeline.dependencies import Dependencies
from tasks.store import audit, runs
from tasks.store.audit import Actor
from tasks.store.tables import Run

RETRIABLE = FINAL - COMPLETED
MOST_AT_ONCE = 100


class Retried(NamedTuple):
    """What became of one run of a bulk retry: its child, or the reason why it has none."""

    run_id: UUID
    source: str
    child_run_id: UUID | None
    reason: str | None = None


def retry(dependencies: Dependencies, run_id: UUID, *, actor: Actor) -> UUID:
    """Queue the child of a run that broke off, and send its first messages.

    Args:
        dependencies: Of this process.
        run_id: The run to try again.
        actor: Who asks.

    Returns:
        The child's id.

    Raises:
        NotFoundError: If there is no such run.
        ConflictError: As :func:`queue_retry`.
    """
    with dependencies.transaction() as session:
        child = queue_retry(dependencies, session, run_id, request_id=actor.request_id).run_id
        audit.add(session, actor, "run.retry", str(run_id), {"child": str(child)})
    lifecycle.announce(dependencies, [child])
    return child


def queue_retry(
    dependencies: Dependencies, session: Session, run_id: UUID, *, request_id: str | None = None
) -> Run:
    """Queue the child in the caller's transaction; call :func:`lifecycle.announce` after it.

    The child has its parent's options but for failures that were asked for, works on the parent's
    stored pages whatever their age, and asks the source only for what the parent never got. When a
    later run has completed meanwhile, the child fills the gap but leaves the checkpoint where that
    run has put it.

    Raises:
        NotFoundError: If there is no such run, or its source is not enabled any more.
        ConflictError: If the run is active or has completed, is a replay, or its source has an
            active run.
    """
    parent = runs.get(session, run_id, lock=True)
    _check(parent)
    options = {name: value for name, value in parent.options.items() if name != "failure"}
    if runs.has_completed_since(session, parent):
        options["keep_checkpoint"] = True
    child = lifecycle.insert_run(
        dependencies,
        session,
        parent.source,
        trigger=BACKFILL if parent.trigger == BACKFILL else "retry",
        parent_run_id=parent.run_id,
        options=options,
        request_id=request_id,
    )
    lifecycle.begin(session, child, parent.run_id)
    return child


def _check(parent: Run) -> None:
    facts = {"run_id": str(parent.run_id), "source": parent.source}
    if parent.status in ACTIVE:
        raise ConflictError(
            f"The run {parent.run_id} is {parent.status}; cancel it first.",
            active_run_id=str(parent.run_id),
            **facts,
        )
    if parent.trigger == "replay":
        raise ConflictError("A replay is not tried again; ask for the replay once more.", **facts)
    if parent.status not in RETRIABLE:
        raise ConflictError(
            f"The run {parent.run_id} has completed; there is nothing to try again.", **facts
        )


def retry_matching(
    dependencies: Dependencies,
    *,
    actor: Actor,
    source: str | None = None,
    statuses: Collection[str] = (RunStatus.FAILED, RunStatus.CRASHED),
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Retried]:
    """Try again every run that matches, the newest first; one that cannot be says why.

    A source has one active run, so of several that broke off the newest gets the child.

    Args:
        dependencies: Of this process.
        actor: Who asks; each child is written down.
        source: Only of this source.
        statuses: Only these; those that cannot be tried again are left out.
        since: Only those queued then or later.
        until: Only those queued before.
    """
    with dependencies.transaction() as session:
        found = runs.matching(
            session,
            [status for status in statuses if status in RETRIABLE],
            source=source,
            since=since,
            until=until,
            limit=MOST_AT_ONCE,
        )
    return [_outcome(dependencies, run, actor) for run in found]


def _outcome(dependencies: Dependencies, run: Run, actor: Actor) -> Retried:
    try:
        child = retry(dependencies, run.run_id, actor=actor)
        return Retried(run.run_id, run.source, child)
    except CallerError as refusal:
        return Retried(run.run_id, run.source, None, str(refusal))
