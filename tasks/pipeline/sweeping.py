"""What keeps runs moving when a message, a worker or a scheduler is lost."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core import tracing
from tasks.core.errors import KasparroError, UnavailableError
from tasks.core.logging import get_logger
from tasks.domain.runs import RunStatus
from tasks.pipeline import judging, lifecycle
from tasks.pipeline.dependencies import Dependencies
from tasks.store import batching, partitions, runs, sweeps, totals, traces

MAX_ATTEMPTS = 5
_log = get_logger(__name__)


class CrashedError(KasparroError):
    """The run's workers ended several times without finishing the same stage."""


def sweep(dependencies: Dependencies) -> int:
    """Send again what nobody holds, and end the runs that needed it too often.

    Beat and every worker ask for it; within one interval only the first of them does it.

    Returns:
        How many messages were sent.
    """
    with dependencies.transaction() as session:
        interval = timedelta(seconds=dependencies.settings.limits.sweep_s / 2)
        if not sweeps.take_turn(session, interval):
            return 0
        partitions.ensure_ahead(session)
        _end_crashed(session)
        for run_id in runs.active_ids(session):
            for batch in batching.close(session, run_id, last=False):
                batching.wake(session, run_id, batch)  # nobody else is going to send its message
        due = sweeps.due(session)
        for item in due:
            totals.add(session, "etl_resent_total", source=item.source, stage=item.stage)
        traced = traces.of_runs(session, [item.run_id for item in due])
    sent = _send(dependencies, due, traced)
    judging.judge_due(dependencies)
    return sent


def _end_crashed(session: Session) -> None:
    for run_id, page in sweeps.crashed(session, max_attempts=MAX_ATTEMPTS):
        run = runs.get(session, run_id, lock=True)
        error = CrashedError(
            f"Page {page}: the workers ended {MAX_ATTEMPTS} times without finishing it.", page=page
        )
        if lifecycle.end(session, run, RunStatus.CRASHED, error=error):
            _log.error("run_crashed", run_id=str(run_id), page=page)


def _send(dependencies: Dependencies, due: list[sweeps.Due], traced: Mapping[UUID, str]) -> int:
    for sent, item in enumerate(due):
        try:
            with tracing.continued(traced.get(item.run_id)):
                dependencies.publisher.send(item.source, item.run_id, item.stage, item.page)
        except UnavailableError as error:
            _log.warning("sweep_broken_off", sent=sent, waiting=len(due) - sent, reason=str(error))
            return sent
        _log.info("message_sent_again", run_id=str(item.run_id), stage=item.stage, page=item.page)
    return len(due)
