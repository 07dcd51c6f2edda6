"""One attempt at a stage: claim, work, and what follows when the work fails.

This is the one place where any exception of a stage is caught: what it means is decided by
:func:`tasks.domain.retries.decide` and written to the database before anything is sent.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from billiard.exceptions import SoftTimeLimitExceeded
from sqlalchemy.orm import Session

from tasks.core import failpoints, tracing
from tasks.core.errors import (
    BudgetSpentError,
    KasparroError,
    LostClaimError,
    PermanentError,
    UnavailableError,
    UnreadablePageError,
)
from tasks.core.failpoints import FailureInjection
from tasks.core.logging import get_logger
from tasks.domain.retries import Again, GiveUp, decide
from tasks.domain.runs import RunStatus, Stage
from tasks.pipeline import judging, lifecycle
from tasks.pipeline.dependencies import Dependencies
from tasks.store import claims, database, events, pages, runs, totals
from tasks.store.events import Step
from tasks.store.pages import Claim
from tasks.store.tables import Run

_log = get_logger(__name__)


class Message(NamedTuple):
    """A stage that is ready: the page (fetch) or the batch (transform, load)."""

    stage: Stage
    page: int


Work = Callable[[Dependencies, Run, Claim], Sequence[Message]]


class InternalError(PermanentError):
    """kasparro itself failed; the log has the traceback."""


def attempt(
    dependencies: Dependencies, stage: Stage, run_id: UUID, page: int, work: Work
) -> Again | None:
    """Do one stage of one page or batch, once, whoever else was told to do it too.

    Args:
        dependencies: Of this process.
        stage: The stage.
        run_id: The run.
        page: The page (fetch) or batch (transform, load).
        work: Does the stage and returns what is ready to be sent after its commit.

    Returns:
        When to try again; None when the stage is done, was not ours, or the run has ended.

    Raises:
        UnavailableError: If the database is away, so that not even the failure could be noted.
    """
    try:
        taken = _claim(dependencies, stage, run_id, page)
        if taken is None:
            return None
        run, claim = taken
        with (
            tracing.span(str(stage), _facts(run, claim)),
            failpoints.armed(
                _wanted_failures(dependencies, run),
                *(run.source, claim.stage, claim.first, claim.attempt),
            ),
        ):
            return _work(dependencies, run, claim, work)
    finally:
        _write_down(dependencies)


def _facts(run: Run, claim: Claim) -> dict[str, object]:
    return {
        "run_id": str(run.run_id),
        "source": run.source,
        "pages": claim.pages,
        "attempt": claim.attempt,
    }


def _wanted_failures(dependencies: Dependencies, run: Run) -> FailureInjection:
    general, own = dependencies.settings.failures, run.options.get("failure")
    return failpoints.parse_override(own) if own and general.allowed else general


def _work(dependencies: Dependencies, run: Run, claim: Claim, work: Work) -> Again | None:
    try:
        messages = work(dependencies, run, claim)
    except LostClaimError:
        _log.warning("claim_lost", stage=claim.stage, page=claim.first)
        return None
    except Exception as error:  # noqa: BLE001 - the edge: see the module's docstring
        tracing.failed(error)
        return _fail(dependencies, run, claim, _understood(error))
    _send(dependencies, run, messages)
    if claim.stage is Stage.LOAD:
        judging.judge(dependencies, run.run_id)
    failpoints.reach(failpoints.BEFORE_ACK)
    return None


def _write_down(dependencies: Dependencies) -> None:
    counted = dependencies.tally.drain()
    if counted:
        with dependencies.transaction() as session:
            totals.add_all(session, counted)


def _claim(
    dependencies: Dependencies, stage: Stage, run_id: UUID, page: int
) -> tuple[Run, Claim] | None:
    lease_s = dependencies.settings.limits.lease_s
    with dependencies.transaction() as session:
        claim = claims.claim(session, run_id, stage, page=page, lease_s=lease_s)
        if claim is None:
            return None
        run = runs.start(session, run_id) if claim.begins_run else None
        if run is not None:
            events.add_begun(session, run_id, f"{stage}_started", _step(claim))
        else:
            _note(session, claim, "started")
            run = runs.get(session, run_id)
        totals.observe(session, "etl_queue_wait_seconds", claim.waited_s)
        return run, claim


def _understood(error: Exception) -> KasparroError:
    if isinstance(error, KasparroError):
        return error
    if isinstance(error, SoftTimeLimitExceeded):
        return UnavailableError("The stage took longer than its time limit.")
    _log.exception("stage_failed_unexpectedly", exc_info=error)
    internal = InternalError(f"{type(error).__name__} in kasparro; the log has the traceback.")
    internal.__cause__ = error
    return internal


def _fail(dependencies: Dependencies, run: Run, claim: Claim, error: KasparroError) -> Again | None:
    decision = decide(error, failures=claim.failures, chance=dependencies.chance)
    with dependencies.transaction() as session:
        if isinstance(decision, GiveUp):
            _give_up(session, run, claim, error)
            return None
        kept = pages.release(
            session, claim, delay_s=decision.delay_s, error=str(error), counts=decision.counts
        )
        if not kept:
            return None
        word = "retried" if decision.counts else "waited"
        detail = {**error.context, "delay_s": round(decision.delay_s, 3), "reason": str(error)}
        _note(session, claim, word, detail)
        if decision.counts:
            totals.add(session, "etl_retries_total", source=run.source, stage=claim.stage)
        else:
            totals.add(session, "etl_rate_limit_wait_seconds", decision.delay_s, source=run.source)
    _log.info(f"stage_{word}", **detail | {"stage": claim.stage, "page": claim.first})
    return decision


def _give_up(session: Session, run: Run, claim: Claim, error: KasparroError) -> None:
    if isinstance(error, UnreadablePageError):
        pages.mark_failed(session, claim, str(error))
    else:
        pages.release(session, claim, delay_s=0, error=str(error), counts=True)
    _note(session, claim, "failed", {"reason": str(error), **error.context})
    totals.add(session, "etl_give_ups_total", source=run.source, stage=claim.stage)
    status = RunStatus.SKIPPED if isinstance(error, BudgetSpentError) else RunStatus.FAILED
    locked = runs.get(session, run.run_id, lock=True)
    lifecycle.end(session, locked, status, error=error)
    _log.warning("stage_given_up", stage=claim.stage, page=claim.first, reason=str(error))


def note_finished(session: Session, run: Run, claim: Claim, detail: Mapping[str, object]) -> None:
    """Record, in the transaction that completes a stage, that it did and how long it took."""
    seconds = (database.now(session) - claim.claimed_at).total_seconds()
    _note(session, claim, "finished", {"seconds": round(seconds, 3), **detail})
    tracing.note({f"finished.{name}": value for name, value in detail.items()})
    totals.observe(session, "etl_stage_seconds", seconds, source=run.source, stage=claim.stage)


def _note(
    session: Session, claim: Claim, word: str, detail: Mapping[str, object] | None = None
) -> None:
    name = f"{claim.stage}_{word}"
    events.add(session, claim.run_id, name, step=_step(claim), detail=detail)


def _step(claim: Claim) -> Step:
    return Step(claim.stage, claim.first, claim.attempt)


def _send(dependencies: Dependencies, run: Run, messages: Sequence[Message]) -> None:
    try:
        failpoints.reach(failpoints.BEFORE_PUBLISH)
        for message in messages:
            dependencies.publisher.send(run.source, run.run_id, message.stage, message.page)
        failpoints.reach(failpoints.AFTER_PUBLISH)
    except KasparroError as error:
        # The work is committed; the sweeper sends the message when the broker is back.
        _log.warning("message_not_sent", reason=str(error))
