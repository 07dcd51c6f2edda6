"""The database's own clock, the only one that leases and deadlines are measured by."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session


def now(session: Session) -> datetime:
    """Return the wall time of the database server, not of the transaction's start."""
    moment: datetime = session.scalars(select(func.clock_timestamp())).one()
    return moment
