"""Whose turn it is to sweep."""

from datetime import timedelta

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tasks.store.tables import DataVersion


def take_turn(session: Session, interval: timedelta) -> bool:
    """Tell whether no other process has swept within ``interval``; if so, the turn is taken."""
    statement = insert(DataVersion).values(topic="sweep", version=1)
    taken = session.execute(
        statement.on_conflict_do_update(
            index_elements=["topic"],
            set_={"version": DataVersion.version + 1, "changed_at": func.clock_timestamp()},
            where=DataVersion.changed_at < func.clock_timestamp() - interval,
        ).returning(DataVersion.version)
    )
    return taken.one_or_none() is not None
