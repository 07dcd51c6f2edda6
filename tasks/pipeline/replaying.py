"""Replay: stored pages through today's rules, without one call to the source.

A replay transforms and loads what earlier runs have loaded. Every item is normalised again, known
or not, and an observation counts by its own timestamp and the moment its page came in. So a
replay under unchanged rules changes no row, one of old pages replaces nothing newer, and the
checkpoint stays where it is.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core.errors import ConflictError, InvalidInputError
from tasks.domain.runs import ACTIVE, BACKFILL
from tasks.pipeline import lifecycle
from tasks.pipeline.dependencies import Dependencies
from tasks.store import events, replays, runs
from tasks.store.replays import StoredPage
from tasks.store.tables import Run

MOST_PAGES = 20_000
"""A fortnight of CoinGecko's whole list, four times a day."""


def replay(dependencies: Dependencies, run_id: UUID, *, request_id: str | None = None) -> UUID:
    """Replay what one run loaded, and send the first messages.

    Returns:
        The id of the replay, a child of the run.

    Raises:
        NotFoundError: If there is no such run.
        ConflictError: As :func:`queue_replay`.
    """
    with dependencies.transaction() as session:
        child = queue_replay(dependencies, session, run_id, request_id=request_id).run_id
    lifecycle.announce(dependencies, [child])
    return child


def replay_between(
    dependencies: Dependencies,
    source: str,
    *,
    since: datetime,
    until: datetime,
    request_id: str | None = None,
) -> UUID:
    """Replay everything a source brought from ``since`` on and before ``until``, as one run.

    Raises:
        NotFoundError: If there is no such source.
        InvalidInputError: If the time is empty or holds more than :data:`MOST_PAGES` pages.
        ConflictError: If nothing is stored of that time, or the source has an active run.
    """
    if since >= until:
        raise InvalidInputError("The time to replay ends before it begins.")
    with dependencies.transaction() as session:
        stored = replays.of_time(session, source, since=since, until=until)
        if len(stored) > MOST_PAGES:
            raise InvalidInputError(
                f"{len(stored)} pages are too many for one replay; take a shorter time.",
                pages=len(stored),
            )
        options = {"since": since.isoformat(), "until": until.isoformat()}
        run = _queue(dependencies, session, source, stored, options=options, request_id=request_id)
    lifecycle.announce(dependencies, [run.run_id])
    return run.run_id


def queue_replay(
    dependencies: Dependencies, session: Session, run_id: UUID, *, request_id: str | None = None
) -> Run:
    """Queue a replay in the caller's transaction; call :func:`lifecycle.announce` after it.

    Raises:
        NotFoundError: If there is no such run, or its source is not enabled any more.
        ConflictError: If the run is active, was a dry run, has no page that it loaded and that is
            still stored, or its source has an active run.
    """
    original = runs.get(session, run_id)
    if original.status in ACTIVE:
        raise ConflictError(
            f"The run {run_id} is {original.status}; replay it when it has ended.",
            active_run_id=str(run_id),
        )
    if original.trigger == BACKFILL:
        raise ConflictError("A backfill is not replayed; ask for it once more.")
    if original.options.get("dry_run"):
        raise ConflictError("A dry run has brought nothing to the tables to be replayed.")
    stored = replays.of_run(session, run_id)
    return _queue(
        dependencies,
        session,
        original.source,
        stored,
        parent_run_id=run_id,
        request_id=request_id,
    )


def _queue(
    dependencies: Dependencies,
    session: Session,
    source: str,
    stored: list[StoredPage],
    *,
    options: dict[str, Any] | None = None,
    **values: Any,
) -> Run:
    options = {**(options or {}), "keep_checkpoint": True}
    run = lifecycle.insert_run(
        dependencies, session, source, trigger="replay", options=options, **values
    )
    if not stored:
        raise ConflictError("No page is stored to be replayed: none was loaded, or none is left.")
    replays.hand_over(session, run.run_id, stored)
    events.add(session, run.run_id, "replay_prepared", detail={"pages": len(stored)})
    return run
