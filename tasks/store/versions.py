"""The version of what a topic's readers see: raised by every transaction that changes it."""

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tasks.store.tables import DataVersion


def bump(session: Session, topic: str, *, added_rows: int = 0) -> None:
    """Tell the caches of ``topic`` that something changed; ``added_rows`` maintains its total."""
    statement = insert(DataVersion).values(topic=topic, version=1, rows=added_rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["topic"],
            set_={
                "version": DataVersion.version + 1,
                "rows": DataVersion.rows + statement.excluded.rows,
                "changed_at": func.clock_timestamp(),
            },
        )
    )
