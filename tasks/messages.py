"""The words between processes: task names, queues, and the messages themselves, ids only."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from celery import Celery, chain
from celery.canvas import Signature
from kombu.exceptions import OperationalError

from tasks.coordination import broker
from tasks.core.errors import UnavailableError
from tasks.domain.runs import Stage

QUEUES = ("fetch", "transform", "load", "maintenance")
Role = Literal["api", "worker", "cli"]

START_DUE_RUN = "kasparro.start_due_run"
SWEEP = "kasparro.sweep"
WATCH = "kasparro.watch"
PURGE = "kasparro.purge"
AGE = "kasparro.age"

# In the API a broker that does not answer must cost less than the caller's patience: measured
# 2.0 s half-open, 0.19 s refused (with ``retry=False``).
_IMPATIENT = {
    "socket_timeout": 2,
    "socket_connect_timeout": 1,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}


def fetch_task(source: str) -> str:
    """Return the name of the source's fetch task; one for each, so that each has its own rate."""
    return f"kasparro.fetch.{source}"


def stage_task(stage: Stage) -> str:
    """Return the name of the transform or load task."""
    return f"kasparro.{stage}"


def create_app(role: Role, *, broker_url: str | None = None) -> Celery:
    """Return the Celery application of this process, configured by ``celeryconfig``.

    Args:
        role: ``worker`` waits for a broker that is away; ``api`` and ``cli`` do not.
        broker_url: In place of the configured one, for a process that came to know it later.
    """
    broker.mend()
    app = Celery("kasparro", set_as_current=role == "worker")
    app.config_from_object("celeryconfig")
    if broker_url is not None:
        app.conf.broker_url = broker_url
    if role != "worker":
        app.conf.broker_transport_options = app.conf.broker_transport_options | _IMPATIENT
        app.conf.broker_connection_timeout = 1
    return app


class CeleryPublisher:
    """Sends to direct queues: a custom exchange would lose messages after a flush of the broker."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def send(self, source: str, run_id: UUID, stage: Stage, page: int) -> None:
        """Send one stage's message; see :class:`tasks.pipeline.dependencies.Publisher`."""
        steps = self._steps(source, run_id, stage, page)
        try:
            (chain(*steps) if len(steps) > 1 else steps[0]).apply_async(retry=False)
        except OperationalError as error:
            raise UnavailableError(
                "The broker does not answer; the run waits in the database."
            ) from error

    def _steps(self, source: str, run_id: UUID, stage: Stage, page: int) -> Sequence[Signature]:
        if stage is Stage.FETCH:
            return [self._signature(fetch_task(source), "fetch", run_id, page)]
        following = [Stage.TRANSFORM, Stage.LOAD] if stage is Stage.TRANSFORM else [Stage.LOAD]
        return [self._signature(stage_task(step), step, run_id, page) for step in following]

    def _signature(self, task: str, queue: str, run_id: UUID, page: int) -> Signature:
        return self._app.signature(task, args=(str(run_id), page), queue=queue, immutable=True)
