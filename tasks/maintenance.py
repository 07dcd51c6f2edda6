"""What happens by the clock: due runs, the sweeper, prices that grow old, alerts, retention."""

from celery import Task, shared_task

from tasks import bootstrap, messages
from tasks.pipeline import ageing, alerting, judging, lifecycle, mentioning, retention, sweeping

_MORE_IN_S = 5.0


@shared_task(name=messages.START_DUE_RUN)
def start_due_run(source: str) -> None:
    """Start the run of the source's newest slot."""
    lifecycle.start_due_run(bootstrap.worker_dependencies(), source)


@shared_task(name=messages.AGE)
def age() -> None:
    """Decide anew what went stale."""
    ageing.age(bootstrap.worker_dependencies())


@shared_task(name=messages.SWEEP)
def sweep() -> None:
    """Send again what nobody holds, and link news to assets that came after them."""
    dependencies = bootstrap.worker_dependencies()
    sweeping.sweep(dependencies)
    mentioning.refresh(dependencies)


@shared_task(name=messages.WATCH)
def watch() -> None:
    """Look for sources that are late, and tell whoever wants to know what was found."""
    dependencies = bootstrap.worker_dependencies()
    judging.watch_freshness(dependencies)
    alerting.send_alerts(dependencies)


@shared_task(bind=True, name=messages.PURGE)
def purge(self: Task) -> None:
    """Remove what is too old, in as many pieces as it takes."""
    if retention.purge(bootstrap.worker_dependencies()).more:
        self.apply_async(countdown=_MORE_IN_S)
