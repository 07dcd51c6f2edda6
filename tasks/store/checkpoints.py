"""Where each source goes on, and whether it is paused."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tasks.store.tables import Checkpoint


def get(session: Session, source: str) -> dict[str, Any]:
    """Return the checkpoint of the last run that completed; empty before the first."""
    return session.scalar(select(Checkpoint.checkpoint).where(Checkpoint.source == source)) or {}


def move(session: Session, source: str, checkpoint: dict[str, Any], *, run_id: UUID) -> None:
    """Move the checkpoint; only the load that completes a run does this."""
    values = {"checkpoint": checkpoint, "run_id": run_id, "last_success_at": func.clock_timestamp()}
    statement = insert(Checkpoint).values(source=source, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["source"], set_=values))


def note_attempt(session: Session, source: str, status: str) -> None:
    """Record how the last run ended; nothing else of the row changes."""
    values = {"last_attempt_at": func.clock_timestamp(), "last_attempt_status": status}
    statement = insert(Checkpoint).values(source=source, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["source"], set_=values))


def last_success_at(session: Session, source: str) -> datetime | None:
    """Return when the source's last run completed."""
    return session.scalar(select(Checkpoint.last_success_at).where(Checkpoint.source == source))


def is_paused(session: Session, source: str) -> bool:
    """Tell whether an operator has paused the source's schedule."""
    return bool(session.scalar(select(Checkpoint.paused).where(Checkpoint.source == source)))


def set_paused(session: Session, source: str, *, paused: bool) -> None:
    """Pause or resume the source's schedule."""
    statement = insert(Checkpoint).values(source=source, paused=paused)
    session.execute(
        statement.on_conflict_do_update(index_elements=["source"], set_={"paused": paused})
    )
