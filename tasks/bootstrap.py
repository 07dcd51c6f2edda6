"""The composition root: the only place where concrete classes meet."""

from functools import cache

from tasks.core.settings import Settings, load_settings
from tasks.messages import Role
from tasks.pipeline.dependencies import Dependencies


def build(settings: Settings, *, role: Role) -> Dependencies:
    """Build the parts of one process; nothing is connected before it is used.

    Args:
        settings: Of this process.
        role: ``worker``, or ``api`` and ``cli``, which do not wait for a broker that is away.
    """


@cache
def worker_dependencies() -> Dependencies:
    """Return the parts of this worker process, built on first use and so after the fork."""
    return build(load_settings(), role="worker")
