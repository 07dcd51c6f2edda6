"""Starting runs from the command line, and reading how they do."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, true

from tasks.core.errors import ConflictError
from tasks.domain.runs import FINAL, PageState
from tasks.pipeline import lifecycle
from tasks.pipeline.dependencies import Dependencies
from tasks.store.tables import Run, RunPage

_FINAL_STATUSES = frozenset(str(status) for status in FINAL)


class Started(NamedTuple):
    """What became of one source's trigger.

    Attributes:
        run_id: The new run, or the active one that stood in its way.
        is_new: False for the latter.
    """

    source: str
    run_id: UUID
    is_new: bool


class RunRow(NamedTuple):
    """A run as the command line shows it; ``pages_known`` may still grow."""

    run_id: UUID
    source: str
    status: str
    trigger: str
    pages: int
    pages_known: int
    records_extracted: int
    records_processed: int
    records_unchanged: int
    records_failed: int
    duration_seconds: float | None
    queued_at: Any
    finished_at: Any
    error_message: str | None

    @property
    def is_final(self) -> bool:
        """Whether the run will not change any more."""
        return self.status in _FINAL_STATUSES


def start_runs(
    dependencies: Dependencies, sources: Iterable[str], options: Mapping[str, Any] | None = None
) -> list[Started]:
    """Queue a run for each source and announce them together.

    A source that is at work already is no error: its active run is returned.

    Raises:
        NotFoundError: If there is no such source; nothing was started.
    """
    names = list(dict.fromkeys(sources))
    for name in names:
        dependencies.connector(name)
    started = [_start(dependencies, name, options or {}) for name in names]
    lifecycle.announce(dependencies, [item.run_id for item in started if item.is_new])
    return started


def _start(dependencies: Dependencies, source: str, options: Mapping[str, Any]) -> Started:
    try:
        with dependencies.transaction() as session:
            run = lifecycle.queue_run(dependencies, session, source, trigger="cli", options=options)
            return Started(source, run.run_id, is_new=True)
    except ConflictError as conflict:
        return Started(source, UUID(conflict.context["active_run_id"]), is_new=False)


def rows(dependencies: Dependencies, run_ids: Sequence[UUID]) -> list[RunRow]:
    """Return these runs, in this order."""
    found = {row.run_id: row for row in _select(dependencies, Run.run_id.in_(run_ids))}
    return [found[run_id] for run_id in run_ids if run_id in found]


def newest(dependencies: Dependencies, *, source: str | None, limit: int) -> list[RunRow]:
    """Return the newest runs first, of one source or of all."""
    return _select(dependencies, *([Run.source == source] if source else []), limit=limit)


def _select(dependencies: Dependencies, *where: Any, limit: int | None = None) -> list[RunRow]:
    loaded = func.count().filter(RunPage.state == PageState.LOADED)
    pages = (
        select(loaded.label("loaded"), func.count().label("known"))
        .where(RunPage.run_id == Run.run_id)
        .lateral()
    )
    until = func.coalesce(Run.finished_at, func.clock_timestamp())
    seconds = func.round(func.extract("epoch", until - Run.started_at), 3)
    statement = (
        select(
            Run.run_id,
            Run.source,
            Run.status,
            Run.trigger,
            pages.c.loaded.label("pages"),
            pages.c.known.label("pages_known"),
            Run.records_extracted,
            Run.records_processed,
            Run.records_unchanged,
            Run.records_failed,
            seconds.label("duration_seconds"),
            Run.queued_at,
            Run.finished_at,
            Run.error_message,
        )
        .join(pages, onclause=true())
        .where(*where)
        .order_by(Run.queued_at.desc(), Run.run_id)
        .limit(limit)
    )
    with dependencies.transaction() as session:
        return [RunRow(**row._mapping) for row in session.execute(statement)]  # noqa: SLF001 - public API
