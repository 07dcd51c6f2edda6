"""Which version of the data this is: raised by every transaction that changes a topic."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from tasks.store.tables import DataVersion


def current(connection: Connection, topics: Iterable[str]) -> str:
    """Return a text that changes whenever one of the topics does."""
    rows = connection.execute(
        select(DataVersion.topic, DataVersion.version, DataVersion.changed_at)
        .where(DataVersion.topic.in_(list(topics)))
        .order_by(DataVersion.topic)
    ).all()
    return repr([(topic, version, str(changed_at)) for topic, version, changed_at in rows])


def maintained_rows(connection: Connection, topic: str) -> int | None:
    """Return the topic's row count as the loads keep it; None if none has yet."""
    return connection.scalar(select(DataVersion.rows).where(DataVersion.topic == topic))
