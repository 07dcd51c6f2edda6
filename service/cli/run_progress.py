"""A bar for each run, moved by the run's events."""

from collections.abc import Mapping, Sequence
from typing import Any
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


def _follow_in_lines(dependencies: Dependencies, run_ids: Sequence[UUID], console: Console) -> None:
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
        self._latest = dict.fromkeys(run_ids, "queued")

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
        task = self._tasks[row.run_id]
        news = self._news(row.run_id) if not row.is_final else _outcome(row)
        self._progress.update(
            task, description=row.source, completed=row.pages, total=row.pages_known, news=news
        )

    def _news(self, run_id: UUID) -> str:
        with self._dependencies.engine.connect() as connection:
            events = run_queries.events(connection, run_id, after=self._seen[run_id])
        if events:
            self._seen[run_id] = events[-1]["event_id"]
            self._latest[run_id] = _in_words(events[-1])
        return self._latest[run_id]


def _in_words(event: Mapping[str, Any]) -> str:
    page = "" if event["page"] is None else f", page {event['page']}"
    return f"{event['event'].replace('_', ' ')}{page}"


def _outcome(row: RunRow) -> str:
    reason = f" ({row.error_message})" if row.error_message else ""
    return f"{row.status}: {row.records_processed} records, {row.records_failed} rejected{reason}"
