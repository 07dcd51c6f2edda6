"""The composition root: the only place where concrete classes meet."""

import random
from functools import cache, partial

import redis

from tasks.coordination.budget import CallLimits, RedisBudget
from tasks.coordination.circuit import RedisCircuit
from tasks.coordination.gate import RedisGate
from tasks.coordination.redis_client import create_redis_client
from tasks.core import tracing
from tasks.core.clock import Clock, system_clock
from tasks.core.errors import ConfigurationError, NotFoundError
from tasks.core.settings import Settings, SourceSettings, load_settings
from tasks.core.tally import Tally
from tasks.messages import CeleryPublisher, Role, create_app
from tasks.pipeline.dependencies import Dependencies
from tasks.sources import registry
from tasks.sources.base import Connector, HistoryConnector, HttpClient
from tasks.store.session import create_database_engine, create_session_factory


def build(settings: Settings, *, role: Role) -> Dependencies:
    """Build the parts of one process; nothing is connected before it is used.

    Args:
        settings: Of this process.
        role: ``worker``, or ``api`` and ``cli``, which do not wait for a broker that is away.

    Raises:
        ConfigurationError: If a source of ``SOURCES`` does not exist, or what a setting asks for is
            not installed.
    """
    tracing.configure(settings.otel_endpoint, role=role)
    clock, tally = system_clock(), Tally()
    client = create_redis_client(settings.redis_url)
    engine = create_database_engine(
        settings.database_url,
        application_name=f"kasparro-{role}",
        statement_timeout_s=settings.limits.statement_s,
        pool_size=settings.api_threads if role == "api" else 2,
    )
    return Dependencies(
        settings=settings,
        engine=engine,
        session_factory=create_session_factory(engine),
        redis=client,
        publisher=CeleryPublisher(create_app(role, broker_url=settings.redis_url)),
        connectors=_connectors(settings),
        http_client=cache(partial(_http_client, settings, client, clock, tally)),
        clock=clock,
        chance=random.Random(),  # noqa: S311 - jitter, no secret
        tally=tally,
        histories=_histories(settings),
    )


def _histories(settings: Settings) -> dict[str, HistoryConnector]:
    found = {name: registry.history(name) for name in settings.sources}
    return {name: history for name, history in found.items() if history is not None}


def _connectors(settings: Settings) -> dict[str, Connector]:
    try:
        return {name: registry.get(name) for name in settings.sources}
    except NotFoundError as error:
        raise ConfigurationError(str(error), problems=(f"SOURCES: {error}",)) from error


def _http_client(
    settings: Settings, client: redis.Redis, clock: Clock, tally: Tally, source: str
) -> HttpClient:
    from tasks.sources.http import HttpLimits, RequestsHttpClient  # noqa: PLC0415 - only who fetches

    return RequestsHttpClient(
        source,
        clock,
        limits=HttpLimits(deadline_s=settings.limits.http_s),
        gate=RedisGate(
            source,
            _budget(settings.sources[source], client, clock, tally),
            RedisCircuit(client, source),
        ),
        observe=lambda source, status, _seconds: tally.add(
            "etl_source_requests_total", source=source, code=str(status)
        ),
    )


def _budget(source: SourceSettings, client: redis.Redis, clock: Clock, tally: Tally) -> RedisBudget:
    return RedisBudget(
        client,
        clock,
        source.name,
        CallLimits(rate=source.rate_per_minute, monthly=source.monthly_budget),
        observe_wait=lambda source, seconds: tally.add(
            "etl_rate_limit_wait_seconds", seconds, source=source
        ),
    )


def import_for_fetching() -> None:
    """Import what only those need who fetch: once, before a worker's children begin."""
    import feedparser  # noqa: F401, PLC0415

    import tasks.sources.http  # noqa: F401, PLC0415


@cache
def worker_dependencies() -> Dependencies:
    """Return the parts of this worker process, built on first use and so after the fork."""
    return build(load_settings(), role="worker")
