"""``run`` and ``runs``: start runs, and see how they went."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.entry import NOT_ALL_WELL
from service.cli.options import data_dir_option, json_option

if TYPE_CHECKING:
    from service.cli.triggering import RunRow, Started
    from tasks.pipeline.dependencies import Dependencies

_COLUMNS = {
    "source": "source",
    "status": "status",
    "trigger": "trigger",
    "queued": "queued_at",
    "seconds": "duration_seconds",
    "records": "records_processed",
    "unchanged": "records_unchanged",
    "rejected": "records_failed",
    "run": "run_id",
    "message": "error_message",
}


@click.command
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE…")
@click.option(
    "--wait", is_flag=True, help="Stay until the runs are over; exit 1 unless all succeed."
)
@click.option("--full-refresh", is_flag=True, help="Forget what is known and read everything.")
@data_dir_option
@json_option
def run(
    *, sources: tuple[str, ...], wait: bool, full_refresh: bool, data_dir: Path, as_json: bool
) -> None:
    """Start runs of sources now.

    "all" stands for every enabled source. The worker does the work; without --wait the command
    returns at once.
    """
    from service.cli import connecting, output, triggering  # noqa: PLC0415 - --help needs none

    with connecting.dependencies_of(data_dir) as dependencies:
        chosen = dependencies.connectors if sources == ("all",) else sources
        options = {"full_refresh": True} if full_refresh else {}
        started = triggering.start_runs(dependencies, chosen, options)
        for item in started:
            output.say(_remark(item))
        rows = _await(dependencies, started, wait=wait)
    if as_json:
        output.emit([_members(row) for row in rows])
    if wait and any(row.status != "success" for row in rows):
        sys.exit(NOT_ALL_WELL)


def _remark(item: "Started") -> str:
    if item.is_new:
        return f"{item.source}: run {item.run_id} is queued."
    return f"{item.source}: run {item.run_id} is active already; no second one was started."


def _await(dependencies: "Dependencies", started: "list[Started]", *, wait: bool) -> "list[RunRow]":
    from rich.console import Console  # noqa: PLC0415 - --help needs none of it

    from service.cli import run_progress, triggering  # noqa: PLC0415

    run_ids = [item.run_id for item in started]
    if wait:
        run_progress.follow(dependencies, run_ids, Console(stderr=True))
    return triggering.rows(dependencies, run_ids)


@click.command
@click.option("--source", help="Only of this source.")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True)
@data_dir_option
@json_option
def runs(*, source: str | None, limit: int, data_dir: Path, as_json: bool) -> None:
    """List the newest runs."""
    from service.cli import connecting, output, triggering  # noqa: PLC0415 - --help needs none

    with connecting.dependencies_of(data_dir) as dependencies:
        found = triggering.newest(dependencies, source=source, limit=limit)
    if as_json:
        return output.emit([_members(row) for row in found])
    styled = (_members(row) | {"status": output.styled_status(row.status)} for row in found)
    return output.show(list(_COLUMNS), (output.pick(row, _COLUMNS.values()) for row in styled))


def _members(row: "RunRow") -> dict[str, object]:
    return row._asdict()
