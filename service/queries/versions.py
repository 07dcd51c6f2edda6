"""Which version of the data this is: raised by every transaction that changes a topic."""

from collections import defaultdict
from concurrent.futures import Future
from datetime import datetime
from threading import Lock
from typing import Any

from psycopg2 import Error
from sqlalchemy import Connection, Engine, PoolProxiedConnection, func, select

Topics = tuple[str, ...]
# Every conditional answer begins here: the driver alone asks in a tenth of SQLAlchemy's time, and
# PostgreSQL answers a prepared statement in half of its own.
_CURRENT = """
select topic, version, changed_at::text from data_versions where topic = any(%s) order by topic
"""
_PREPARE = f"prepare kasparro_versions (text[]) as {_CURRENT.replace('%s', '$1')}"
_EXECUTE = "execute kasparro_versions (%s)"
_PREPARED = "kasparro_versions"
# A run that goes on tells so in its events, not in a version of its own.
_NEWEST_EVENT = "select max(event_id) from run_events"


class Versions:
    """Tells which version of the data this is.

    Whoever asks while the database is being asked already waits for the next answer, together with
    all others who do: each answer was begun after the last of them had come, so nobody gets an
    older version than there was when they asked.

    Args:
        engine: One whose connections commit each statement.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = Lock()
        self._asking: defaultdict[Topics, Lock] = defaultdict(Lock)
        self._next: dict[Topics, Future[str]] = {}

    def current(self, topics: Topics) -> str:
        """Return a text that changes whenever one of the topics does.

        Args:
            topics: Names of topics; ``runs`` includes the events of runs.
        """
        with self._lock:
            asking, shared = self._asking[topics], self._next.get(topics)
            if is_first := shared is None:
                shared = self._next[topics] = Future()
        if is_first:
            with asking:
                with self._lock:
                    del self._next[topics]  # who comes from here on may be too late for this one
                try:
                    shared.set_result(_read(self._engine, topics))
                except BaseException as error:
                    shared.set_exception(error)
                    raise
        return shared.result()


def _read(engine: Engine, topics: Topics) -> str:
    try:
        facts = _ask_driver(engine, topics)
    except Error:  # again in the usual way, which replaces lost connections and names errors
        with engine.connect() as connection:
            facts = list(connection.exec_driver_sql(_CURRENT, (list(topics),)))
            if "runs" in topics:
                facts += connection.exec_driver_sql(_NEWEST_EVENT)
    return repr(facts)


def _ask_driver(engine: Engine, topics: Topics) -> list[Any]:
    pooled = engine.raw_connection()
    try:
        return _ask(pooled, topics)
    except Error:
        pooled.invalidate()
        raise
    finally:
        pooled.close()


def _ask(pooled: PoolProxiedConnection, topics: Topics) -> list[Any]:
    cursor = pooled.cursor()
    if _PREPARED not in pooled.info:
        cursor.execute(_PREPARE)
        pooled.info[_PREPARED] = True
    cursor.execute(_EXECUTE, (list(topics),))
    facts = list(cursor.fetchall())
    if "runs" in topics:
        cursor.execute(_NEWEST_EVENT)
        facts += cursor.fetchall()
    return facts


def now(connection: Connection) -> datetime:
    """Return the database's time, by which all that is stored is dated."""
    moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return moment
