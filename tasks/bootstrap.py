"""The composition root: the only place where concrete classes meet."""

import random
from functools import cache

from tasks.coordination import redis_client
from tasks.coordination.budget import RedisBudget
from tasks.coordination.circuit import RedisCircuit
from tasks.core.clock import system_clock
from tasks.core.settings import Settings, load_settings
from tasks.messages import CeleryPublisher, Role, create_app
from tasks.pipeline.dependencies import Dependencies
from tasks.sources import registry
from tasks.sources.http import RequestsHttpClient
from tasks.store.session import create_database_engine, create_session_factory


def build(settings: Settings, *, role: Role) -> Dependencies:
    """Build the parts of one process; nothing is connected before it is used.

    Args:
        settings: Of this process.
        role: ``worker``, or ``api`` and ``cli``, which do not wait for a broker that is away.
    """
    ...


@cache
def worker_dependencies() -> Dependencies:
    """Return the parts of this worker process, built on first use and so after the fork."""
    return build(load_settings(), role="worker")
