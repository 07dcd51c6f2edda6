"""Which version of the data this is: raised by every transaction that changes a topic."""

from datetime import datetime
from functools import cache
from threading import Lock

from sqlalchemy import Connection, Text, bindparam, func, select, text

from service.queries.prepared import Driver, Prepared, write

Topics = tuple[str, ...]
# The topics are written out: PostgreSQL takes as long to evaluate an argument as to find the rows.
_CURRENT = text(
    "select topic, version, changed_at::text from data_versions where topic in :topics"
).bindparams(bindparam("topics", type_=Text, expanding=True, literal_execute=True))
# A run that goes on tells so in its events, not in a version of its own.
_NEWEST_EVENT = text("select max(event_id) from run_events")


class Versions:
    """Tells which version of the data this is.

    Who had to wait while others were asking takes the newest answer, if the database was asked for
    it after they had come: nobody gets an older version than there was when they asked.

    Args:
        driver: Asks the database.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._lock = Lock()
        self._asked = 0
        self._newest: dict[Topics, tuple[int, str | BaseException]] = {}

    def current(self, topics: Topics) -> str:
        """Return a text that changes whenever one of the topics does.

        Args:
            topics: Names of topics; ``runs`` includes the events of runs.
        """
        too_old = self._asked
        with self._driver.timed(), self._lock:
            number, found = self._newest.get(topics, (0, ""))
            if number <= too_old:
                self._asked += 1
                found = self._ask(topics)
                self._newest[topics] = self._asked, found
        if isinstance(found, BaseException):
            raise found
        return found

    def _ask(self, topics: Topics) -> str | BaseException:
        """Return the version, or the error that all who wait for this answer will get."""
        try:
            return repr(sorted(self._driver.ask(*_statements(topics)), key=repr))
        except Exception as error:  # noqa: BLE001 - it is raised
            return error


@cache
def _statements(topics: Topics) -> tuple[Prepared, ...]:
    versions = write(_CURRENT.bindparams(topics=list(topics)))
    return (versions, write(_NEWEST_EVENT)) if "runs" in topics else (versions,)


def now(connection: Connection) -> datetime:
    """Return the database's time, by which all that is stored is dated."""
    moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return moment
