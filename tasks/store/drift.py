"""Accepted shapes, and what deviated from them."""

from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Integer, ScalarSelect, cast, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tasks.core.errors import NotFoundError
from tasks.domain.drift import Finding
from tasks.domain.shapes import Shape
from tasks.store.tables import SchemaDriftLog, SchemaShape


class Logged(NamedTuple):
    """The row that a finding counts on; ``status`` is ``open``, ``accepted`` or ``muted``."""

    drift_id: int
    status: str


def accepted(session: Session, source: str, schema_name: str) -> Shape | None:
    """Return the shape in force; None when nobody has decided anything yet."""
    held = session.scalar(
        select(SchemaShape.shape)
        .where(SchemaShape.source == source, SchemaShape.schema_name == schema_name)
        .order_by(SchemaShape.version.desc())
        .limit(1)
    )
    return None if held is None else msgspec.convert(held, Shape)


def accept(
    session: Session,
    source: str,
    schema_name: str,
    shape: Shape,
    *,
    accepted_by: str,
    drift_id: int | None = None,
) -> int:
    """Put a shape in force and return its version."""
    version = (
        select(func.coalesce(func.max(SchemaShape.version), 0) + 1)
        .where(SchemaShape.source == source, SchemaShape.schema_name == schema_name)
        .scalar_subquery()
    )
    statement = insert(SchemaShape).values(
        source=source,
        schema_name=schema_name,
        version=version,
        shape=msgspec.to_builtins(shape),
        drift_id=drift_id,
        accepted_by=accepted_by,
    )
    return session.scalars(statement.returning(SchemaShape.version)).one()


def version(session: Session, source: str, schema_name: str) -> int:
    """Return the version of the shape in force; 0 when nobody has decided anything yet."""
    newest = select(func.coalesce(func.max(SchemaShape.version), 0)).where(
        SchemaShape.source == source, SchemaShape.schema_name == schema_name
    )
    return session.scalars(newest).one()


def learn(
    session: Session, source: str, schema_name: str, shape: Shape, *, by: str = "the first page"
) -> None:
    """Put the first shape of a source in force, unless another page was quicker."""
    statement = insert(SchemaShape).values(
        source=source,
        schema_name=schema_name,
        version=1,
        shape=msgspec.to_builtins(shape),
        accepted_by=by,
    )
    session.execute(statement.on_conflict_do_nothing())


class Sighting(NamedTuple):
    """Where a finding was made: the run, and the newest stored page that shows it."""

    source: str
    schema_name: str
    run_id: UUID
    raw_page_id: int | None


def log(session: Session, seen: Sighting, finding: Finding) -> Logged:
    """Count a finding on the row that shows all its deviations, or begin a new one.

    The same stored page counts once, however often it is transformed.
    """
    is_new = SchemaDriftLog.raw_page_id.is_distinct_from(seen.raw_page_id)
    known = session.execute(
        update(SchemaDriftLog)
        .where(SchemaDriftLog.drift_id == _covering(seen, finding))
        .values(
            run_id=seen.run_id,
            raw_page_id=seen.raw_page_id,
            occurrences=SchemaDriftLog.occurrences + cast(is_new, Integer),
            last_seen_at=func.clock_timestamp(),
        )
        .returning(SchemaDriftLog.drift_id, SchemaDriftLog.status)
    ).one_or_none()
    return _begin(session, seen, finding) if known is None else Logged(*known)


def _covering(seen: Sighting, finding: Finding) -> ScalarSelect[int]:
    return (
        select(SchemaDriftLog.drift_id)
        .where(
            SchemaDriftLog.source == seen.source,
            SchemaDriftLog.schema_name == seen.schema_name,
            SchemaDriftLog.elements.contains(sorted(finding.elements)),
        )
        .order_by(func.cardinality(SchemaDriftLog.elements), SchemaDriftLog.drift_id)
        .limit(1)
        .scalar_subquery()
    )


def _begin(session: Session, seen: Sighting, finding: Finding) -> Logged:
    statement = insert(SchemaDriftLog).values(
        **seen._asdict(),
        fingerprint=finding.fingerprint,
        elements=sorted(finding.elements),
        confidence_score=Decimal(str(finding.confidence)),
        missing_fields=list(finding.missing),
        extra_fields=list(finding.extra),
        fuzzy_matches=[match._asdict() for match in finding.matches],
        type_changes=dict(finding.type_changes),
        null_rate_changes=dict(finding.null_rate_changes),
        warnings=list(finding.warnings),
        overlay=msgspec.to_builtins(finding.overlay),
    )
    row = session.execute(
        statement.on_conflict_do_update(
            index_elements=["source", "schema_name", "fingerprint"],
            set_={
                "run_id": statement.excluded.run_id,
                "raw_page_id": statement.excluded.raw_page_id,
                "occurrences": SchemaDriftLog.occurrences + 1,
                "last_seen_at": func.clock_timestamp(),
            },
        ).returning(SchemaDriftLog.drift_id, SchemaDriftLog.status)
    ).one()
    return Logged(*row)


def get(session: Session, drift_id: int) -> SchemaDriftLog:
    """Return a row of the log, locked until the transaction ends.

    Raises:
        NotFoundError: If there is none.
    """
    row = session.get(SchemaDriftLog, drift_id, with_for_update=True)
    if row is None:
        raise NotFoundError(f"There is no drift {drift_id}.", drift_id=drift_id)
    return row
