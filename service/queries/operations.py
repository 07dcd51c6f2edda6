"""What an operator asks about: sources and the quarantine."""

from typing import Any

from sqlalchemy import Connection, select

from service.queries.columns import Columns
from service.queries.listing import Listing
from service.queries.ordering import Order
from tasks.domain.runs import ACTIVE, BACKFILL
from tasks.store.tables import Checkpoint, RejectionRow, Run

_FILTERS = ("source", "run_id", "rule", "field", "state")


def checkpoints(connection: Connection) -> dict[str, Any]:
    """Return each source's checkpoint row."""
    statement = select(
        Checkpoint.source,
        Checkpoint.checkpoint,
        Checkpoint.last_success_at,
        Checkpoint.last_attempt_at,
        Checkpoint.last_attempt_status,
        Checkpoint.paused,
    )
    return {row.source: row for row in connection.execute(statement)}


def active_runs(connection: Connection) -> dict[str, Any]:
    """Return the id of each source's active run; a backfill goes on beside it."""
    statement = select(Run.source, Run.run_id).where(
        Run.status.in_(ACTIVE), Run.trigger != BACKFILL
    )
    return dict(connection.execute(statement).all())


def rejections(filters: dict[str, Any]) -> Listing:
    """Return the quarantine, newest first.

    Args:
        filters: ``source``, ``run_id``, ``rule``, ``field``, ``state``; others are ignored.
    """
    names = (
        "rejection_id",
        "source",
        "run_id",
        "page",
        "item",
        "external_id",
        "field",
        "rule",
        "reason",
        "payload",
        "state",
        "occurrences",
        "created_at",
        "updated_at",
    )
    columns: Columns = {name: getattr(RejectionRow, name) for name in names}
    order = Order(
        key=RejectionRow.created_at,
        row_id=RejectionRow.rejection_id,
        descending=True,
        id_descending=True,
        nullable=False,
    )
    where = [getattr(RejectionRow, name) == filters[name] for name in _FILTERS if name in filters]
    return Listing(columns=columns, source=RejectionRow.__table__, order=order, where=where)
