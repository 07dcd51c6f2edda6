"""How runs begin and end."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core import failpoints, tracing
from tasks.core.errors import ConflictError, InvalidInputError, KasparroError, UnavailableError
from tasks.core.logging import get_logger
from tasks.domain.runs import ASIDE, BACKFILL, RunStatus, Stage
from tasks.pipeline.dependencies import Dependencies
from tasks.store import (
    checkpoints,
    events,
    pages,
    resuming,
    runs,
    staging,
    sweeps,
    totals,
    traces,
    versions,
)
from tasks.store.tables import Run

_log = get_logger(__name__)


def queue_run(
    dependencies: Dependencies,
    session: Session,
    source: str,
    *,
    trigger: str,
    options: Mapping[str, Any] | None = None,
    **values: Any,
) -> Run:
    """Insert a queued run and the page it begins with, in the caller's transaction.

    A run that broke off not long ago is taken up where it stopped, unless a full refresh is asked
    for. Call :func:`announce` after the commit.

    Args:
        dependencies: Of this process.
        session: Of the caller's transaction.
        source: Name of an enabled source.
        trigger: ``schedule`` | ``api`` | ``cli``; for the others see
            :mod:`tasks.pipeline.retrying`, :mod:`tasks.pipeline.replaying` and
            :mod:`tasks.pipeline.backfilling`.
        options: ``full_refresh``, ``dry_run``, ``reason``, ``failure`` (see
            :func:`tasks.core.failpoints.parse_override`).
        values: ``slot``, ``parent_run_id``, ``request_id``.

    Raises:
        NotFoundError: If there is no such source.
        InvalidInputError: If ``failure`` is not valid, or not allowed here.
        ConflictError: If it has an active run (``active_run_id`` in the context), or the slot has
            had its run.
    """
    run = _queue(dependencies, session, source, dict(options or {}), trigger=trigger, **values)
    versions.bump(session, "runs", added_rows=1)
    return run


def queue_runs(
    dependencies: Dependencies, session: Session, sources: Iterable[str], **values: Any
) -> dict[str, Run | ConflictError]:
    """Queue a run of each source that is free, all in the caller's transaction.

    Whoever starts or ends a run changes its row and then raises the version. So the runs are
    inserted in the order of the sources' names, and the version is raised after the last of them:
    nobody is waited for by one that waits itself.

    Args:
        dependencies: Of this process.
        session: Of the caller's transaction.
        sources: Names of enabled sources.
        values: As for :func:`queue_run`.

    Returns:
        By source, its run, or why there is none.
    """
    options = dict(values.pop("options", {}))
    outcomes: dict[str, Run | ConflictError] = {}
    for source in sorted(sources):
        try:
            outcomes[source] = _queue(dependencies, session, source, options, **values)
        except ConflictError as error:
            outcomes[source] = error
    queued = sum(isinstance(outcome, Run) for outcome in outcomes.values())
    versions.bump(session, "runs", added_rows=queued)
    return outcomes


def _queue(
    dependencies: Dependencies,
    session: Session,
    source: str,
    options: dict[str, Any],
    **values: Any,
) -> Run:
    _check_failure(dependencies, options.get("failure"))
    within = timedelta(seconds=dependencies.connector(source).spec.resume_within_s)
    run, broken = _insert(
        dependencies, session, source, resumes_within=within, options=options, **values
    )
    is_afresh = options.get("full_refresh") or options.get("dry_run")
    begin(session, run, None if is_afresh else broken)
    return run


def insert_run(dependencies: Dependencies, session: Session, source: str, **values: Any) -> Run:
    """Insert a queued run that has no page yet.

    Raises:
        NotFoundError: If there is no such source.
        ConflictError: As :func:`queue_run`.
    """
    run, _ = _insert(dependencies, session, source, **values)
    versions.bump(session, "runs", added_rows=1)
    return run


def _insert(
    dependencies: Dependencies,
    session: Session,
    source: str,
    *,
    resumes_within: timedelta | None = None,
    **values: Any,
) -> tuple[Run, UUID | None]:
    dependencies.connector(source)
    facts = {"source": source, "trigger": values["trigger"]}
    with tracing.span("queue run", facts, kind="producer"):
        values["traceparent"] = tracing.carrier().get("traceparent")
        added = runs.add(session, source, values, resumes_within=resumes_within)
        if added is None:
            raise _refusal(session, source, backfill=values["trigger"] == BACKFILL)
        tracing.note({"run_id": str(added[0].run_id)})
    return added


def begin(session: Session, run: Run, broken: UUID | None) -> None:
    """Give a run its first pages: what ``broken`` left unfinished, or the source's beginning."""
    if broken is None or not resuming.take_up(session, broken, run.run_id):
        pages.add_pending(session, run.run_id, 1, None)
    else:
        run.resumed_run_id = broken
        events.add(session, run.run_id, "run_resumed", detail={"from": str(broken)})
    session.flush()


def _check_failure(dependencies: Dependencies, wanted: Mapping[str, Any] | None) -> None:
    if wanted and not dependencies.settings.failures.allowed:
        raise InvalidInputError(
            "Failures are not injected in production unless ALLOW_FAILURE_INJECTION=true.",
            field="failure",
        )
    if wanted:
        failpoints.parse_override(wanted)


def _refusal(session: Session, source: str, *, backfill: bool) -> ConflictError:
    active = runs.active(session, source, backfill=backfill)
    if active is None:
        return ConflictError(f"The source {source!r} has had its run of this slot.")
    return ConflictError(
        f"The source {source!r} has an active run, {active.run_id}.",
        active_run_id=str(active.run_id),
        source=source,
    )


def announce(dependencies: Dependencies, run_ids: Iterable[UUID]) -> bool:
    """Send the first messages of runs that are committed.

    Returns:
        False if the broker cannot be reached: the runs stay queued and the sweeper sends later.
    """
    for run_id in run_ids:
        with dependencies.transaction() as session:
            due = sweeps.due(session, run_id)
            trace = traces.of_runs(session, [run_id]).get(run_id)
        if not _send(dependencies, due, trace):
            return False
    return True


def announce_new(dependencies: Dependencies, runs: Iterable[Run]) -> bool:
    """Announce runs that :func:`queue_run` has just made, as :func:`announce` does.

    What a run that begins at its source's beginning has to do first is known without a look.
    """
    for run in runs:
        if run.resumed_run_id is not None:
            is_sent = announce(dependencies, [run.run_id])
        else:
            first = sweeps.Due(run.run_id, run.source, Stage.FETCH, page=1, attempts=0)
            is_sent = _send(dependencies, [first], run.traceparent)
        if not is_sent:
            return False
    return True


def _send(dependencies: Dependencies, due: Iterable[sweeps.Due], trace: str | None) -> bool:
    for item in due:
        try:
            with tracing.continued(trace):
                dependencies.publisher.send(item.source, item.run_id, item.stage, item.page)
        except UnavailableError as error:
            _log.warning(
                "run_not_announced",
                run_id=str(item.run_id),
                reason=str(error),
                cause=repr(error.__cause__),
            )
            return False
    return True


def start_due_run(dependencies: Dependencies, source: str) -> UUID | None:
    """Start the run of the source's newest slot, once, whatever the number of ticks and beats."""
    schedule = dependencies.settings.sources[source].schedule
    slot = schedule.previous(dependencies.clock.now())
    with dependencies.transaction() as session:
        if checkpoints.is_paused(session, source):
            return None
        try:
            run = queue_run(dependencies, session, source, trigger="schedule", slot=slot)
        except ConflictError as conflict:
            _log.info("slot_passed_over", source=source, slot=str(slot), reason=str(conflict))
            return None
    announce_new(dependencies, [run])
    return run.run_id


def end(
    session: Session,
    run: Run,
    status: RunStatus,
    *,
    error: KasparroError | None = None,
    **values: Any,
) -> bool:
    """Give a run its final state and all that follows from it, in the caller's transaction.

    Returns:
        False if it was final already.
    """
    if error is not None:
        values |= {"error_code": type(error).__name__, "error_message": str(error)}
    if not runs.finish(session, run.run_id, status, **values):
        return False
    session.refresh(run)
    staging.discard(session, run.run_id)
    if run.trigger not in ASIDE:  # of which neither says how the source is
        checkpoints.note_attempt(session, run.source, status)
    events.add(session, run.run_id, f"run_{status}", detail={"message": run.error_message})
    totals.add(session, "etl_runs_total", source=run.source, status=status)
    totals.add(session, "etl_records_processed_total", run.records_processed, source=run.source)
    if run.started_at is not None and run.finished_at is not None:
        seconds = (run.finished_at - run.started_at).total_seconds()
        totals.observe(session, "etl_run_duration_seconds", seconds, source=run.source)
    versions.bump(session, "runs")
    return True


def cancel(session: Session, run_id: UUID) -> Run:
    """Stop a run at its page boundary: loaded pages stay, the page in work rolls back.

    Raises:
        NotFoundError: If there is no such run.
        ConflictError: If it is finished.
    """
    run = runs.get(session, run_id, lock=True)
    runs.require_transition(run, RunStatus.CANCELLED)
    end(session, run, RunStatus.CANCELLED)
    return run
