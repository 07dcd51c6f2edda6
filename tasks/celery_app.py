"""The Celery application that ``celery -A tasks.celery_app`` finds, and what its processes do."""

from contextlib import ExitStack
from contextvars import ContextVar
from functools import cache
from socket import gethostname
from typing import Any

from tasks.core import processes

with processes.collector_at_rest():
    import redis
    import structlog
    from celery import signals

    from tasks import bootstrap, maintenance, messages, stages
    from tasks.coordination import workers
    from tasks.coordination.redis_client import create_redis_client
    from tasks.core import tracing
    from tasks.core.errors import UnavailableError
    from tasks.core.logging import get_logger
    from tasks.core.settings import load_settings
    from tasks.core.telemetry import log_as_set

__all__ = ["app", "maintenance", "stages"]

app = messages.create_app("worker")
_SWEEP_EVERY_S = 30.0
_TRACED = (messages.START_DUE_RUN,)
"""Beside the stages. What else the clock starts would be a trace every few seconds."""
_span: ContextVar[ExitStack | None] = ContextVar("span", default=None)
_log = get_logger(__name__)


@signals.celeryd_init.connect  # before what a worker says at its start
@signals.setup_logging.connect  # and for beat; without a receiver, Celery would do it its own way
def _log_our_way(**_: Any) -> None:
    log_as_set(load_settings())


@signals.worker_before_create_process.connect
def _before_fork(**_: Any) -> None:
    bootstrap.import_for_fetching()
    processes.spare_the_collector()


@signals.task_prerun.connect
def _bind_context(task_id: str, task: Any, args: Any, **_: Any) -> None:
    structlog.contextvars.bind_contextvars(
        task_id=task_id, task=task.name, **dict(zip(_names(task), args or (), strict=False))
    )


def _names(task: Any) -> tuple[str, ...]:
    """Return what the arguments of a message are called."""
    return ("run_id", "page") if isinstance(task, stages.StageTask) else ("source",)


@signals.worker_process_init.connect
def _trace(**_: Any) -> None:
    """Begin after the fork: the thread that sends the spans would be lost in it."""
    tracing.configure(load_settings().otel_endpoint, role="worker")


@signals.worker_process_shutdown.connect
def _send_last_spans(**_: Any) -> None:
    tracing.stop()


@signals.task_prerun.connect
def _begin_span(task: Any, args: Any, **_: Any) -> None:
    """Go on with the trace that the message brought along."""
    is_traced = isinstance(task, stages.StageTask) or task.name in _TRACED
    if not (tracing.is_on() and is_traced):
        return
    carrier = {"traceparent": task.request.get("traceparent") or ""}
    facts = {"messaging.system": "redis", "messaging.destination.name": task.name} | {
        name: str(value) for name, value in zip(_names(task), args or (), strict=False)
    }
    stack = ExitStack()
    stack.enter_context(tracing.span(task.name, facts, kind="consumer", carrier=carrier))
    _span.set(stack)


@signals.task_postrun.connect
def _end_span(state: str | None, **_: Any) -> None:
    stack = _span.get()
    if stack is not None:
        tracing.note({"celery.state": str(state)})
        stack.close()
        _span.set(None)


@signals.task_postrun.connect
def _clear_context(**_: Any) -> None:
    structlog.contextvars.clear_contextvars()


@signals.worker_ready.connect
def _sweep_without_beat(sender: Any, **_: Any) -> None:
    """Ask for a sweep now and then, so that runs go on when beat is dead."""
    sender.timer.call_repeatedly(_SWEEP_EVERY_S, _ask_for_sweep)


def _ask_for_sweep() -> None:
    app.send_task(
        messages.SWEEP, queue="maintenance", expires=_SWEEP_EVERY_S, ignore_result=True, retry=False
    )


@signals.heartbeat_sent.connect
def _be_seen(sender: Any, **_: Any) -> None:
    try:
        workers.mark_seen(_redis(), sender.eventer.hostname)
    except UnavailableError as error:
        _log.warning("worker_not_marked_seen", reason=str(error))


@signals.beat_init.connect
def _beat_begins(**_: Any) -> None:
    """Take each message that beat sends, a sweep every few seconds at least, as a sign of life."""
    signals.after_task_publish.connect(_beat_is_seen, weak=False)
    _beat_is_seen()


def _beat_is_seen(**_: Any) -> None:
    seen_for_s = max(workers.SEEN_FOR_S, 4 * load_settings().limits.sweep_s)
    try:
        workers.mark_seen(_redis(), gethostname(), kind="beats", seen_for_s=seen_for_s)
    except UnavailableError as error:
        _log.warning("beat_not_marked_seen", reason=str(error))


@cache
def _redis() -> redis.Redis:
    return create_redis_client(load_settings().redis_url)
