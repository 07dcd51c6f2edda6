"""What the requests of one process share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from threading import BoundedSemaphore

from flask import Response, current_app, stream_with_context
from psycopg2 import Error
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from service import auth
from service.conditional import ResponseCache
from service.observability import broker
from service.queries.prepared import Driver, Prepared, write
from service.queries.totals import Totals
from service.queries.versions import Topics, Versions
from service.rate_limits import RedisRateLimiter
from service.walks import Walks
from tasks.core.errors import UnavailableError
from tasks.pipeline.dependencies import Dependencies
from tasks.store.session import create_database_engine

READ_TIMEOUT_S = 5.0


class Delivery:
    """What requests share in this process.

    Attributes:
        dependencies: Of the engine.
        front_page: Makes what a browser gets at ``/``.
        limiter: Counts calls.
        cache: The newest bodies.
        reader: Connections for SELECTs: one for each thread, and short time-outs.
        driver: Asks prepared statements on them.
        versions: Which version of the data this is.
        redis: For a look at the broker, with short time-outs.
        walks: The pinned orders of lists.
        places: For answers that last: half of the threads, so that the rest stay free.
        totals: How many rows lists have.
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
            pool_size=dependencies.settings.api_threads,
            isolation_level="AUTOCOMMIT",
            pool_reset_on_return=None,  # each statement is its own transaction
            pool_pre_ping=False,  # the version of the data is read first, and notices
        )
        event.listen(self.reader, "engine_connect", _replace_lost)
        self.driver = Driver(self.reader, dependencies.clock)
        self.versions = Versions(self.driver)
        self.redis = broker.connect(dependencies.settings.redis_url)
        self.walks = Walks(
            broker.connect(dependencies.settings.redis_url, is_text=False), dependencies.clock
        )
        self.totals = Totals()
        self.places = BoundedSemaphore(max(1, dependencies.settings.api_threads // 2))

    def find_key(self, key_id: str) -> auth.Known | None:
        """Return what is known of an API key."""
        with self.driver.timed():
            found = self.driver.ask(_key().of(key_id=key_id))
        return auth.Known(*found[0]) if found else None

    def close(self) -> None:
        """Give the connections back; for tests and a process that ends."""
        self.dependencies.engine.dispose()
        self.reader.dispose()
        self.dependencies.redis.close()
        self.limiter.close()
        self.redis.close()
        self.walks.close()


@cache
def _key() -> Prepared:
    return write(auth.FIND)


def _replace_lost(connection: Connection) -> None:
    """Try a connection before it is used, and replace it, and those that lie idle, if it is lost.

    What asks the driver itself (:class:`service.queries.prepared.Driver`) comes here only after
    that has failed.
    """
    try:
        connection.dialect.do_ping(connection.connection.dbapi_connection)  # type: ignore[arg-type]
    except Error:
        connection.invalidate()
        connection.engine.dispose()


def delivery() -> Delivery:
    """Return what this app's requests share."""
    shared: Delivery = current_app.extensions["kasparro"]
    return shared


def dependencies() -> Dependencies:
    """Return the engine's parts."""
    return delivery().dependencies


def lasting(chunks: Iterator[bytes], content_type: str) -> Response:
    """Return an answer that is sent for as long as the client takes to read it.

    Each keeps a thread busy, so that a few slow readers could keep out everybody else: there is
    only so much room for them.

    Raises:
        UnavailableError: If there is no room now.
    """
    places = delivery().places
    if not places.acquire(blocking=False):
        raise UnavailableError("Too many exports and event streams are being sent already.")
    left: list[None] = [None]

    def leave() -> None:
        with suppress(IndexError):  # whoever is first: the end of the chunks, or of the answer
            left.pop()
            places.release()

    def produce() -> Iterator[bytes]:
        try:
            yield from chunks
        finally:
            leave()

    response = Response(stream_with_context(produce()), content_type=content_type)
    response.call_on_close(leave)
    return response


def version_of(topics: Topics) -> str:
    """Return a text that changes whenever one of these topics of the data does."""
    return delivery().versions.current(topics)


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
