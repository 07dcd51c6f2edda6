"""Monthly partitions of the histories: made ahead, so that no load has to wait for one."""

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from tasks.store import database

TABLES = {"quote_history": "observed_at", "asset_history": "valid_from"}
"""The partitioned tables, and by what."""

_EXISTS = text("select to_regclass(:name) is not null")
# Any constant of ours: whoever makes a partition waits for others who do, and then finds theirs.
_LOCK = text("select pg_advisory_xact_lock(7202613)")
_HAS_STRAYS = "select exists (select from {table}_default where {within})"
_WITHIN = "{column} >= '{first}' and {column} < '{end}'"
_CREATE = "create table {name} partition of {table} for values from ('{first}') to ('{end}')"
# Rows that came before their partition rest in the default one, which then refuses to let their
# month become a partition: they are carried over.
_CARRY = (
    "create table {name} (like {table} including all)",
    """with gone as (delete from {table}_default where {within} returning *)
    insert into {name} select * from gone""",
    "alter table {table} attach partition {name} for values from ('{first}') to ('{end}')",
)


def ensure_ahead(session: Session, *, months: int = 2) -> int:
    """Create the partitions of this month and the next ones and return how many were missing.

    Rows of earlier months without a partition rest in the default one.
    """
    now = database.now(session)
    wanted = list(_months(now, _after(now, months)))
    return sum(_ensure(session, table, month) for table in TABLES for month in wanted)


def ensure(session: Session, table: str, *, since: datetime, until: datetime) -> int:
    """Create a table's partitions for all months from ``since`` to ``until``, if they are missing.

    Rows that rest in the default partition move to them.

    Returns:
        How many were missing.
    """
    return sum(_ensure(session, table, month) for month in _months(since, until))


def _ensure(session: Session, table: str, month: datetime) -> bool:
    end = _after(month, 1)
    column, name = TABLES[table], f"{table}_{month:%Y%m}"
    facts = {"table": table, "name": name, "first": month, "end": end}
    facts["within"] = _WITHIN.format(column=column, first=month, end=end)
    if _exists(session, name):
        return False
    session.execute(_LOCK)
    if _exists(session, name):
        return False
    has_strays = session.scalar(text(_HAS_STRAYS.format(**facts)))
    for statement in _CARRY if has_strays else (_CREATE,):
        session.execute(text(statement.format(**facts)))
    return True


def _exists(session: Session, name: str) -> bool:
    return bool(session.scalar(_EXISTS, {"name": name}))


def _months(since: datetime, until: datetime) -> Iterable[datetime]:
    month = _after(since, 0)
    while month <= until:
        yield month
        month = _after(month, 1)


def _after(moment: datetime, months: int) -> datetime:
    """Return the first moment, in UTC, of the month so many months later."""
    moment = moment.astimezone(UTC)
    count = moment.year * 12 + moment.month - 1 + months
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)
