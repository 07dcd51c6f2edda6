"""How each source stands: its last run, its last success, how old its data is."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import distinct_on

from tasks.core.schedules import Schedule
from tasks.domain.runs import ASIDE, FINAL
from tasks.store.tables import Checkpoint, Run

_LATE_AFTER, _STALE_AFTER = 1.5, 3.0


def last_runs(connection: Connection) -> dict[str, Any]:
    """Return the newest ended run of each source; replays and backfills say nothing of it."""
    statement = (
        select(
            Run.source,
            Run.status,
            Run.finished_at,
            Run.records_processed,
            Run.records_failed,
            Run.error_message,
        )
        .where(Run.status.in_(FINAL), Run.trigger.not_in(ASIDE))
        .ext(distinct_on(Run.source))
        .order_by(Run.source, Run.queued_at.desc(), Run.run_id)
    )
    return {row.source: row for row in connection.execute(statement)}


def last_successes(connection: Connection) -> dict[str, datetime | None]:
    """Return when each source last completed."""
    statement = select(Checkpoint.source, Checkpoint.last_success_at)
    return dict(connection.execute(statement).all())


def freshness(age: timedelta | None, schedule: Schedule, now: datetime) -> str:
    """Tell how old data is against how often it should come.

    Returns:
        ``fresh`` up to one and a half periods of the schedule, ``late`` up to three, then
        ``stale``, which also is what has never come.
    """
    if age is None:
        return "stale"
    due = schedule.previous(now)
    period = schedule.following(now) - due
    if age <= _LATE_AFTER * period:
        return "fresh"
    return "late" if age <= _STALE_AFTER * period else "stale"
