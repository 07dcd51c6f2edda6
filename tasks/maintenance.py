"""What happens by the clock: due runs and the sweeper."""

from celery import shared_task

from tasks import bootstrap, messages
from tasks.pipeline import lifecycle, mentioning, sweeping


@shared_task(name=messages.START_DUE_RUN)
def start_due_run(source: str) -> None:
    """Start the run of the source's newest slot."""
    lifecycle.start_due_run(bootstrap.worker_dependencies(), source)


@shared_task(name=messages.SWEEP)
def sweep() -> None:
    """Send again what nobody holds, and link news to assets that came after them."""
    dependencies = bootstrap.worker_dependencies()
    sweeping.sweep(dependencies)
    mentioning.refresh(dependencies)
