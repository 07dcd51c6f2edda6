"""A bar for each run, moved by the run's events."""

from collections.abc import Sequence
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from service.cli import run_views, triggering
from service.cli.triggering import RunRow
from service.queries import runs as run_queries
from tasks.pipeline.dependencies import Dependencies

_POLL_S = 0.2


def follow(dependencies: Dependencies, run_ids: Sequence[UUID], console: Console) -> None:
    """Show the progress of runs until all are over; a line for each change without a terminal."""
    if not console.is_terminal:
        return _follow_in_lines(dependencies, run_ids, console)
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("pages"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[news]}"),
    )
    with Progress(*columns, console=console) as progress:
        _Bars(dependencies, progress, run_ids).follow()
    return None


def _follow_in_lines(
    dependencies: Dependencies, run_ids: Sequence[UUID], console: Console
) -> None:
    with run_views.watching(console) as view:
        while True:
            rows = triggering.rows(dependencies, run_ids)
            view.update(rows)
            if all(row.is_final for row in rows):
                return
            dependencies.clock.sleep(_POLL_S)


class _Bars:
    """One bar a run, and the newest event beside it."""

    def __init__(
        self, dependencies: Dependencies, progress: Progress, run_ids: Sequence[UUID]
    ) -> None:
        self._dependencies = dependencies
        self._progress = progress
        self._run_ids = run_ids
        self._tasks = {
            run_id: progress.add_task("", total=None, news="queued") for run_id in run_ids
        }
        self._seen = dict.fromkeys(run_ids, 0)

    def follow(self) -> None:
        """Move the bars until every run is over."""
        while True:
            rows = triggering.rows(self._dependencies, self._run_ids)
            for row in rows:
                self._show(row)
            if all(row.is_final for row in rows):
                return
            self._dependencies.clock.sleep(_POLL_S)

    def _show(self, row: RunRow) -> None:
        task, news = self._tasks[row.run_id], self._news(row.run_id)
        if row.is_final:
            news = f"{_figures(row)} {row.error_message or ''}"
        update = {"news": news} if news else {}
        self._progress.update(
            task, description=row.source, completed=row.pages, total=row.pages_known, **update
        )

    def _news(self, run_id: UUID) -> str | None:
        with self._dependencies.engine.connect() as connection:
            events = run_queries.events(connection, run_id, after=self._seen[run_id])
        if not events:
            return None
        newest = events[-1]
        self._seen[run_id] = newest["event_id"]
        page = "" if newest["page"] is None else f", page {newest['page']}"
        return f"{newest['event'].replace('_', ' ')}{page}"


def _figures(row: RunRow) -> str:
    return f"{row.status}: {row.records_processed} records, {row.records_failed} rejected"
