"""Backfill: observations of the past from a source that keeps them, beside its live runs.

A backfill is a run like any other, with its pages, retries and budget. But it asks for the past,
adds to the history and to nothing else: no latest price, no consensus, no checkpoint. It does not
stand in the way of the source's live run, nor that in its.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core.errors import InvalidInputError, NotFoundError
from tasks.domain.runs import ACTIVE, BACKFILL, COMPLETED
from tasks.pipeline import lifecycle
from tasks.pipeline.dependencies import Dependencies
from tasks.store import backfills, database, partitions
from tasks.store.tables import Run

MOST_COINS = 2_000
"""Their ids travel with the run."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a backfill will ask for.

    Attributes:
        calls: How many calls that takes.
        resumes: The run that broke off over the same plan and is taken up; None for a new one.
    """

    source: str
    coins: tuple[str, ...]
    since: datetime
    until: datetime
    calls: int
    resumes: UUID | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Return it as the options of its run."""
        return {
            "coins": list(self.coins),
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "keep_checkpoint": True,
        }


def plan(
    dependencies: Dependencies,
    source: str,
    *,
    since: datetime,
    until: datetime,
    coins: Collection[str] | None = None,
) -> Plan:
    """Say what a backfill would ask for, without asking.

    Args:
        dependencies: Of this process.
        source: A source that keeps its past.
        since: Beginning of the time.
        until: Its end; not in the future.
        coins: The source's own ids; None for all that are linked to an asset, best-ranked first.

    Raises:
        NotFoundError: If there is no such source, or it does not give its past.
        InvalidInputError: If the time is empty, in the future, or older than what is kept; or if
            coins are unknown, none, or too many.
    """
    history = dependencies.history(source)
    with dependencies.transaction() as session:
        _check_time(dependencies, database.now(session), since, until)
        chosen = _chosen(session, source, coins)
        found = Plan(source=source, coins=tuple(chosen), since=since, until=until, calls=0)
        broken = _broken(session, found)
    return Plan(
        source=source,
        coins=found.coins,
        since=since,
        until=until,
        calls=history.calls(found.options),
        resumes=None if broken is None else broken.run_id,
    )


def start(dependencies: Dependencies, wanted: Plan) -> UUID:
    """Queue a backfill, or take up the one over the same plan that broke off, and announce it.

    Raises:
        ConflictError: If the source has an active backfill.
    """
    with dependencies.transaction() as session:
        partitions.ensure(session, "quote_history", since=wanted.since, until=wanted.until)
    with dependencies.transaction() as session:
        run = lifecycle.insert_run(
            dependencies, session, wanted.source, trigger=BACKFILL, options=wanted.options
        )
        broken = _broken(session, wanted, but=run)
        lifecycle.begin(session, run, None if broken is None else broken.run_id)
        run_id = run.run_id
    lifecycle.announce(dependencies, [run_id])
    return run_id


def _broken(session: Session, wanted: Plan, *, but: Run | None = None) -> Run | None:
    previous = backfills.latest(session, wanted.source, wanted.options, but=but)
    if previous is None or previous.status in COMPLETED | ACTIVE:
        return None
    return previous


def _check_time(
    dependencies: Dependencies, now: datetime, since: datetime, until: datetime
) -> None:
    kept = timedelta(days=dependencies.settings.retention_history_days)
    if since >= until:
        raise InvalidInputError("The time to backfill ends before it begins.", field="to")
    if until > now:
        raise InvalidInputError("The time to backfill ends in the future.", field="to")
    if since < now - kept:
        raise InvalidInputError(
            f"The history is kept for {kept.days} days (RETENTION_HISTORY_DAYS); "
            "what is older would be removed again.",
            field="from",
        )


def _chosen(session: Session, source: str, coins: Collection[str] | None) -> list[str]:
    found = backfills.linked(session, source, coins)
    unknown = sorted(set(coins or ()) - set(found))
    if unknown:
        raise InvalidInputError(
            f"{source} has brought no {', '.join(unknown[:5])} yet; only what is linked to an "
            "asset can be backfilled.",
            field="coins",
        )
    if not found:
        raise NotFoundError(f"Nothing of {source} is linked to an asset yet; run it first.")
    if len(found) > MOST_COINS:
        raise InvalidInputError(
            f"{len(found)} coins are too many for one backfill; name up to {MOST_COINS}.",
            field="coins",
        )
    return found
