"""Which version of the data this is: raised by every transaction that changes a topic."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, text

from tasks.store.tables import DataVersion, RunEvent

# Every conditional answer begins here, so the statement is not built anew each time.
_CURRENT = text(
    "select topic, version, changed_at from data_versions"
    " where topic = any(cast(:topics as text[])) order by topic"
)


def current(connection: Connection, topics: Collection[str]) -> str:
    """Return a text that changes whenever one of the topics does."""
    rows = connection.execute(_CURRENT, {"topics": list(topics)}).all()
    facts: list[Any] = [(topic, version, str(changed_at)) for topic, version, changed_at in rows]
    if "runs" in topics:  # a run that goes on tells so in its events, not in a version of its own
        facts.append(connection.scalar(select(func.max(RunEvent.event_id))))
    return repr(facts)


def maintained_rows(connection: Connection, topic: str) -> int | None:
    """Return the topic's row count as the loads keep it; None if none has yet."""
    return connection.scalar(select(DataVersion.rows).where(DataVersion.topic == topic))


def now(connection: Connection) -> datetime:
    """Return the database's time, by which all that is stored is dated."""
    moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return moment
