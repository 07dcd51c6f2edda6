"""Traces as the database knows them: each SQL statement as a span, and the trace of each run."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, event, select
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session

from tasks.core import tracing
from tasks.store.tables import Run


def of_runs(session: Session, run_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the trace that each run was queued in; a run queued without one is left out."""
    if not tracing.is_on():
        return {}
    rows = session.execute(
        select(Run.run_id, Run.traceparent).where(
            Run.run_id.in_(set(run_ids)), Run.traceparent.is_not(None)
        )
    )
    return {run_id: traceparent for run_id, traceparent in rows if traceparent is not None}


def trace_statements(engine: Engine) -> None:
    """Make every statement of this engine a span of whatever is traced around it."""
    event.listen(engine, "before_cursor_execute", _begin)
    event.listen(engine, "after_cursor_execute", _end)
    event.listen(engine, "handle_error", _fail)


def _begin(_connection: Any, _cursor: Any, sql: str, _values: Any, context: Any, _m: Any) -> None:
    context._kasparro_span = tracing.statement(sql)  # noqa: SLF001 - SQLAlchemy's own recipe


def _end(_connection: Any, _cursor: Any, _sql: str, _values: Any, context: Any, _m: Any) -> None:
    tracing.end(context._kasparro_span)  # noqa: SLF001 - as above


def _fail(failure: ExceptionContext) -> None:
    begun = getattr(failure.execution_context, "_kasparro_span", None)
    tracing.end(begun, failure.original_exception)
