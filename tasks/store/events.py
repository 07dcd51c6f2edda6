"""What happened in a run: appended, never changed."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from tasks.store.tables import RunEvent


def add(
    session: Session,
    run_id: UUID,
    event: str,
    *,
    stage: str | None = None,
    page: int | None = None,
    attempt: int | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append one event to a run.

    Args:
        session: Of the transaction that makes it true.
        run_id: The run.
        event: Past tense, constant: ``run_started``, ``fetch_finished``.
        stage: ``fetch`` | ``transform`` | ``load``.
        page: The page, or the first page of the batch.
        attempt: Counted from 1 within the stage.
        detail: Facts; JSON.
    """
    values = {
        "run_id": run_id,
        "event": event,
        "stage": stage,
        "page": page,
        "attempt": attempt,
        "detail": dict(detail or {}),
    }
    session.execute(insert(RunEvent).values(values))
