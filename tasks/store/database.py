"""What statements share: the database's own clock, and a value the planner must not see."""

from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

_ROOM = text("set local work_mem = '32MB'")
HIDDEN_SOURCE = "(select cast(:source as text))"
"""The source a statement is about, where the planner does not see which it is.

Statistics from before a source's first run say that there is nothing of it. Comparing with a
constant, the planner would then look through all of the source's rows for each single item.
"""


def now(session: Session) -> datetime:
    """Return the wall time of the database server, not of the transaction's start.

    It is the only clock that leases and deadlines are measured by.
    """
    moment: datetime = session.scalars(select(func.clock_timestamp())).one()
    return moment


def make_room(session: Session) -> None:
    """Let the statements of this transaction sort and hash a whole batch in memory."""
    session.execute(_ROOM)
