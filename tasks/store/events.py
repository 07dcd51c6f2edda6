"""What happened in a run: appended, never changed."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from tasks.store.tables import RunEvent


class Step(NamedTuple):
    """The attempt at a stage that an event speaks of.

    Attributes:
        stage: ``fetch`` | ``transform`` | ``load``.
        page: The page, or the first page of the batch.
        attempt: Counted from 1 within the stage.
    """

    stage: str
    page: int
    attempt: int


def add(
    session: Session,
    run_id: UUID,
    event: str,
    *,
    step: Step | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append one event to a run.

    Args:
        session: Of the transaction that makes it true.
        run_id: The run.
        event: Past tense, constant: ``run_started``, ``fetch_finished``.
        step: The attempt at a stage, unless the event is of the run as a whole.
        detail: Facts; JSON.
    """
    values = {"run_id": run_id, "event": event, "detail": dict(detail or {})}
    session.execute(insert(RunEvent).values(values | (step._asdict() if step else {})))


def add_begun(session: Session, run_id: UUID, event: str, step: Step) -> None:
    """Append that a run has begun, and in the same statement with what step."""
    begun = {"run_id": run_id, "event": "run_started", "stage": None, "page": None, "attempt": None}
    rows = [begun, {"run_id": run_id, "event": event, **step._asdict()}]
    session.execute(insert(RunEvent), rows)
