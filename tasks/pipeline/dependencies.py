"""What a use case may use: built once a process by :mod:`tasks.bootstrap`, replaced in tests."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tasks.core.clock import Clock
from tasks.core.errors import NotFoundError, UnavailableError
from tasks.core.settings import Settings
from tasks.core.tally import Tally
from tasks.domain.runs import Stage
from tasks.sources.base import Connector, HttpClient
from tasks.store.session import SessionFactory


class Publisher(Protocol):
    """Sends the message that wakes a stage; sent twice, late or never it does no harm."""

    def send(
        self, source: str, run_id: UUID, stage: Stage, page: int, *, delay_s: float = 0.0
    ) -> None:
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
                    "The database did not answer.", cause=type(error.orig).__name__
                ) from error
            raise


def _may_pass(error: DBAPIError) -> bool:
    """Tell by SQLSTATE class: connection 08, rollback 40, resources 53, locks 55, operator 57."""
    state = getattr(error.orig, "pgcode", None)
    return state is None or state[:2] in {"08", "40", "53", "55", "57"}
