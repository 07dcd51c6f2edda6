"""Who did what to what."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import insert
from sqlalchemy.orm import Session

from tasks.store.tables import AuditEntry


class Actor(NamedTuple):
    """Who decides: the name of a key, ``cli``, ``anonymous`` …, and in which request."""

    name: str
    request_id: str | None = None


def add(
    session: Session,
    actor: Actor,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Record a decision in the transaction that carries it out.

    Args:
        session: Of that transaction.
        actor: Who decided.
        action: ``noun.verb``: ``drift.accept``.
        subject: What it was done to: ``drift/12``.
        detail: Facts; JSON.
    """
    session.execute(
        insert(AuditEntry).values(
            actor=actor.name,
            request_id=actor.request_id,
            action=action,
            subject=subject,
            detail=dict(detail or {}),
        )
    )
