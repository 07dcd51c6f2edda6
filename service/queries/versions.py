"""Which version of the data this is: raised by every transaction that changes a topic."""

from collections import defaultdict
from concurrent.futures import Future
from datetime import datetime
from functools import cache
from threading import Lock

from sqlalchemy import Connection, func, select, text

from service.queries.prepared import Driver, Prepared, write

Topics = tuple[str, ...]
_CURRENT = text(
    "select topic, version, changed_at::text from data_versions where topic = any(:topics)"
    " order by topic"
)
# A run that goes on tells so in its events, not in a version of its own.
_NEWEST_EVENT = text("select max(event_id) from run_events")


class Versions:
    """Tells which version of the data this is.

    Whoever asks while the database is being asked already waits for the next answer, together with
    all others who do: each answer was begun after the last of them had come, so nobody gets an
    older version than there was when they asked.

    Args:
        driver: Asks the database.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._lock = Lock()
        self._asking: defaultdict[Topics, Lock] = defaultdict(Lock)
        self._next: dict[Topics, Future[str]] = {}

    def current(self, topics: Topics) -> str:
        """Return a text that changes whenever one of the topics does.

        Args:
            topics: Names of topics; ``runs`` includes the events of runs.
        """
        with self._driver.timed():
            return self._shared(topics)

    def _shared(self, topics: Topics) -> str:
        with self._lock:
            asking, shared = self._asking[topics], self._next.get(topics)
            if is_first := shared is None:
                shared = self._next[topics] = Future()
        if is_first:
            with asking:
                with self._lock:
                    del self._next[topics]  # who comes from here on may be too late for this one
                try:
                    shared.set_result(repr(self._driver.ask(*_statements(topics))))
                except BaseException as error:
                    shared.set_exception(error)
                    raise
        return shared.result()


@cache
def _statements(topics: Topics) -> tuple[Prepared, ...]:
    versions = write(_CURRENT.bindparams(topics=list(topics)))
    return (versions, write(_NEWEST_EVENT)) if "runs" in topics else (versions,)


def now(connection: Connection) -> datetime:
    """Return the database's time, by which all that is stored is dated."""
    moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return moment
