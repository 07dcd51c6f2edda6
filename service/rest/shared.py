"""What the requests of one process share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Response, current_app
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from service.conditional import ResponseCache
from service.observability import broker
from service.rate_limits import RedisRateLimiter
from service.walks import Walks
from tasks.pipeline.dependencies import Dependencies
from tasks.store.session import create_database_engine

READ_TIMEOUT_S = 5.0
READ_CONNECTIONS = 4  # as many as service.gunicorn gives threads to a process


class Delivery:
    """What requests share in this process.

    Attributes:
        dependencies: Of the engine.
        front_page: Makes what a browser gets at ``/``.
        limiter: Counts calls.
        cache: The newest bodies.
        reader: Connections for SELECTs: one for each thread, and short time-outs.
        redis: For a look at the broker, with short time-outs.
        walks: The pinned orders of lists.
    """

    def __init__(self, dependencies: Dependencies, front_page: Callable[[], Response]) -> None:
        self.dependencies = dependencies
        self.front_page = front_page
        self.limiter = RedisRateLimiter(dependencies.settings.redis_url, dependencies.clock)
        self.cache = ResponseCache(dependencies.clock)
        self.reader = create_database_engine(
            dependencies.settings.database_url,
            application_name="kasparro-api-reads",
            statement_timeout_s=READ_TIMEOUT_S,
            pool_size=READ_CONNECTIONS,
            isolation_level="AUTOCOMMIT",
        )
        self.redis = broker.connect(dependencies.settings.redis_url)
        self.walks = Walks(broker.connect(dependencies.settings.redis_url, is_text=False))

    def close(self) -> None:
        """Give the connections back; for tests and a process that ends."""
        self.dependencies.engine.dispose()
        self.reader.dispose()
        self.dependencies.redis.close()
        self.limiter.close()
        self.redis.close()
        self.walks.close()


def delivery() -> Delivery:
    """Return what this app's requests share."""
    shared: Delivery = current_app.extensions["kasparro"]
    return shared


def dependencies() -> Dependencies:
    """Return the engine's parts."""
    return delivery().dependencies


@contextmanager
def reading() -> Iterator[Connection]:
    """Open a connection for SELECTs, each its own transaction: no BEGIN and COMMIT on the way."""
    with delivery().reader.connect() as connection:
        yield connection


@contextmanager
def writing() -> Iterator[Session]:
    """Open the transaction of one write."""
    with dependencies().transaction() as session:
        yield session
