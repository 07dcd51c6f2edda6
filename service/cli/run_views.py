"""How runs look while they go on: a live table on a terminal, a line for each change elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from service.cli import output
from service.cli.triggering import RunRow

COLUMNS = ("source", "status", "pages", "records", "unchanged", "rejected", "seconds", "message")


class RunView(Protocol):
    """Shows the present state of some runs."""

    def update(self, rows: Sequence[RunRow]) -> None:
        """Take the newest state."""
        ...


@contextmanager
def watching(console: Console) -> Iterator[RunView]:
    """Give the view that suits the console; the last state stays on the screen."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    with Live(console=console, refresh_per_second=8) as live:
        yield _LiveTable(live)


def run_table(rows: Sequence[RunRow]) -> Table:
    """Return the table of some runs."""
    return output.table(COLUMNS, (_cells(row) for row in rows))


def summary(rows: Sequence[RunRow]) -> str:
    """Return one sentence about runs that are over."""
    good = [row for row in rows if row.status == "success"]
    if len(good) == len(rows):
        return f"All runs succeeded ({len(rows)} of {len(rows)})."
    others = ", ".join(f"{row.source} {row.status}" for row in rows if row.status != "success")
    more = "" if all(row.is_final for row in rows) else " `kasparro runs` shows how they end."
    return f"{len(good)} of {len(rows)} runs succeeded; {others}.{more}"


def _cells(row: RunRow) -> list[object]:
    pages = str(row.pages) if row.is_final else f"{row.pages}/{row.pages_known}"
    seconds = "" if row.duration_seconds is None else f"{row.duration_seconds:.1f}"
    figures = (row.records_processed, row.records_unchanged, row.records_failed)
    return [
        row.source,
        output.styled_status(row.status),
        pages,
        *figures,
        seconds,
        row.error_message,
    ]


class _LiveTable:
    def __init__(self, live: Live) -> None:
        self._live = live

    def update(self, rows: Sequence[RunRow]) -> None:
        self._live.update(run_table(rows))


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: dict[str, str] = {}

    def update(self, rows: Sequence[RunRow]) -> None:
        for row in rows:
            if self._shown.get(row.source) != row.status:
                self._shown[row.source] = row.status
                self._console.print(_line(row), soft_wrap=True, highlight=False)


def _line(row: RunRow) -> str:
    figures = (
        f": {row.records_processed} records, {row.records_unchanged} unchanged, "
        f"{row.records_failed} rejected in {row.duration_seconds or 0:.1f} s"
    )
    reason = f" ({row.error_message})" if row.error_message else ""
    return f"{row.source}: {row.status}{figures if row.is_final else ''}{reason}"
