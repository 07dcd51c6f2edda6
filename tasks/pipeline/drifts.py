"""What operators decide about drift."""

import msgspec
from sqlalchemy.orm import Session

from tasks.core.errors import ConflictError
from tasks.domain import shapes
from tasks.domain.shapes import Shape
from tasks.pipeline.dependencies import Dependencies
from tasks.sources import declared
from tasks.store import audit, drift, versions
from tasks.store.audit import Actor
from tasks.store.tables import SchemaDriftLog


def accept(dependencies: Dependencies, drift_id: int, *, actor: Actor) -> int:
    """Make a drift part of the accepted shape: it is not reported again.

    A field under a new name is from then on read under both. Accepting twice changes nothing.

    Returns:
        The version of the shape in force.

    Raises:
        NotFoundError: If there is no such drift.
    """
    with dependencies.transaction() as session:
        row = drift.get(session, drift_id)
        if row.status == "accepted":
            return drift.version(session, row.source, row.schema_name)
        before = _in_force(session, row)
        shape = shapes.merge(before, msgspec.convert(row.overlay, Shape))
        version = drift.accept(
            session,
            row.source,
            row.schema_name,
            shape,
            accepted_by=actor.name,
            drift_id=drift_id,
        )
        row.status = "accepted"
        audit.add(session, actor, "drift.accept", f"drift/{drift_id}", {"version": version})
        versions.bump(session, "runs")
        return version


def _in_force(session: Session, row: SchemaDriftLog) -> Shape:
    """Return the shape in force, keeping as version 1 what was so before any decision."""
    decided = drift.accepted(session, row.source, row.schema_name)
    promised = declared.shape(row.source, row.schema_name)
    if decided is not None:
        return decided
    if promised is None:
        raise ConflictError(f"The source {row.source!r} has no accepted shape to add this to.")
    drift.learn(session, row.source, row.schema_name, promised, by="the vendor's documentation")
    return promised


def mute(dependencies: Dependencies, drift_id: int, *, actor: Actor) -> None:
    """Stop reporting a drift without accepting it; its row goes on counting.

    Raises:
        NotFoundError: If there is no such drift.
        ConflictError: If it is accepted.
    """
    with dependencies.transaction() as session:
        row = drift.get(session, drift_id)
        if row.status == "accepted":
            raise ConflictError(f"The drift {drift_id} is accepted.")
        if row.status == "open":
            row.status = "muted"
            audit.add(session, actor, "drift.mute", f"drift/{drift_id}")
            versions.bump(session, "runs")
