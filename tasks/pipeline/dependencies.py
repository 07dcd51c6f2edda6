"""What a use case may use: built once a process by :mod:`tasks.bootstrap`, replaced in tests."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, NotSupportedError, ProgrammingError
from sqlalchemy.orm import Session

from tasks.core.clock import Clock
from tasks.core.errors import NotFoundError, UnavailableError
from tasks.core.settings import Settings
from tasks.core.tally import Tally
from tasks.domain.runs import BACKFILL, Stage
from tasks.sources.base import Connector, HistoryConnector, HttpClient
from tasks.store.session import SessionFactory
from tasks.store.tables import Run


class Publisher(Protocol):
    """Sends the message that wakes a stage; sent twice, late or never it does no harm."""

    def send(self, source: str, run_id: UUID, stage: Stage, page: int) -> None:
        """Send one stage's message; transform takes load along in a chain.

        Raises:
            UnavailableError: If the broker cannot be reached; the sweeper sends it later.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """The parts of a process.

    Attributes:
        http_client: Gives the client of a source: its time-outs, budget and circuit.
        tally: What was counted outside of a transaction.
        histories: The connectors of the sources that give their past.
    """

    settings: Settings
    engine: Engine
    session_factory: SessionFactory
    redis: redis.Redis
    publisher: Publisher
    connectors: Mapping[str, Connector]
    http_client: Callable[[str], HttpClient]
    clock: Clock
    chance: random.Random
    tally: Tally
    histories: Mapping[str, HistoryConnector] = field(default_factory=dict)

    def connector(self, source: str) -> Connector:
        """Return the connector of an enabled source.

        Raises:
            NotFoundError: Naming the sources there are.
        """
        try:
            return self.connectors[source]
        except KeyError:
            known = ", ".join(self.connectors)
            raise NotFoundError(f"There is no source {source!r}; enabled are {known}.") from None

    def history(self, source: str) -> HistoryConnector:
        """Return the connector of an enabled source's past.

        Raises:
            NotFoundError: If there is no such source, or it does not give its past.
        """
        self.connector(source)
        if source not in self.histories:
            known = ", ".join(self.histories) or "none"
            raise NotFoundError(
                f"The source {source!r} does not give its past; of {known} it can be had."
            )
        return self.histories[source]

    def connector_of(self, run: Run) -> Connector:
        """Return the connector that a run works with: of a backfill, the one of the past."""
        return self.history(run.source) if run.trigger == BACKFILL else self.connector(run.source)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open the transaction of one use case; it commits unless the block raises.

        Raises:
            UnavailableError: If the database went away, was too slow, or chose this transaction
                as the victim of a deadlock.
        """
        try:
            with self.session_factory.begin() as session:
                yield session
        except DBAPIError as error:
            if error.connection_invalidated or _may_pass(error):
                raise UnavailableError(
                    "The database did not answer.",
                    cause=type(error.orig).__name__,
                    sqlstate=_sqlstate(error),
                ) from error
            raise


def _may_pass(error: DBAPIError) -> bool:
    """Tell by SQLSTATE class: connection 08, rollback 40, resources 53, locks 55, operator 57.

    Without one it was the driver that spoke: of a connection, unless it did not understand us.
    """
    state = _sqlstate(error)
    if state is None:
        return not isinstance(error, (ProgrammingError, DataError, NotSupportedError))
    return state[:2] in {"08", "40", "53", "55", "57"}


def _sqlstate(error: DBAPIError) -> str | None:
    state: str | None = getattr(error.orig, "pgcode", None)
    return state
