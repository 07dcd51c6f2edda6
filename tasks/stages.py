"""The pipeline's three tasks: each translates a message into one use case."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from celery import Task, shared_task

from tasks import bootstrap, messages
from tasks.core.errors import UnavailableError
from tasks.core.logging import get_logger
from tasks.core.settings import load_settings
from tasks.domain.retries import Again
from tasks.domain.runs import Stage
from tasks.pipeline import extraction, loading, transformation
from tasks.pipeline.dependencies import Dependencies

_log = get_logger(__name__)
_DATABASE_AWAY_S = 10.0
_DATABASE_AWAY_RETRIES = 30  # five minutes; then the sweeper sends the message again


class StageTask(Task):
    """A message on one page of one run."""

    abstract = True

    def perform(
        self,
        use_case: Callable[[Dependencies, UUID, int], Again | None],
        run_id: str,
        page: int,
    ) -> None:
        """Do the use case; try again when it says so, or when the database is away."""
        dependencies = bootstrap.worker_dependencies()
        try:
            again = use_case(dependencies, UUID(run_id), page)
        except UnavailableError as error:
            _log.warning("stage_put_off", delay_s=_DATABASE_AWAY_S, reason=str(error))
            dependencies.tally.add("etl_put_off_total", task=self.name)
            raise self.retry(
                exc=error, countdown=_DATABASE_AWAY_S, max_retries=_DATABASE_AWAY_RETRIES
            ) from error
        if again is not None and again.counts:
            raise self.retry(countdown=again.delay_s, max_retries=None)
        if again is not None:
            self.apply_async(args=(run_id, page), countdown=again.delay_s)


def _fetch_task(source: str) -> Any:
    @shared_task(bind=True, base=StageTask, name=messages.fetch_task(source))
    def fetch(self: StageTask, run_id: str, page: int) -> None:
        self.perform(extraction.fetch, run_id, page)

    return fetch


fetch_tasks = {source: _fetch_task(source) for source in load_settings().sources}


@shared_task(bind=True, base=StageTask, name=messages.stage_task(Stage.TRANSFORM))
def transform(self: StageTask, run_id: str, page: int) -> None:
    """Transform the batch that begins with ``page``."""
    self.perform(transformation.transform, run_id, page)


@shared_task(bind=True, base=StageTask, name=messages.stage_task(Stage.LOAD))
def load(self: StageTask, run_id: str, page: int) -> None:
    """Load the batch that begins with ``page``."""
    self.perform(loading.load, run_id, page)
