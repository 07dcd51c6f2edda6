"""``sources``: which there are, and what a connector makes of a file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.cli.entry import EXIT_CODES
from service.cli.options import data_dir_option, json_option
from tasks.core.errors import UnreadablePageError

if TYPE_CHECKING:
    from service.cli.trying import Outcome

_SHOWN = 20


@click.group(invoke_without_command=True)
@data_dir_option
@json_option
@click.pass_context
def sources(ctx: click.Context, *, data_dir: Path, as_json: bool) -> None:
    """List the sources, or try one on a file."""
    if ctx.invoked_subcommand is not None:
        return None
    from service.cli import connecting, output, source_rows  # noqa: PLC0415 - --help needs none

    with connecting.dependencies_of(data_dir) as dependencies:
        rows = source_rows.listing(dependencies)
    if as_json:
        return output.emit(rows)
    columns = ("source", "schedule", "next_due_at", "reads", "last_success_at", "last_status")
    return output.show(columns, (output.pick(row, columns) for row in rows))


@sources.command
@click.argument("source")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def parse(*, source: str, file: Path, as_json: bool) -> None:
    """Show what the connector of SOURCE makes of FILE.

    FILE is one answer of the source as it came: JSON, a feed, a CSV file. No server is needed.
    An answer that cannot be read as one is told so, with exit code 65.
    """
    from service.cli import output, trying  # noqa: PLC0415 - --help needs none of it

    outcome = trying.parse_file(source, file)
    if as_json:
        output.emit(outcome.members())
    else:
        _show(outcome)
    if outcome.error is not None:
        sys.exit(next(code for kind, code in EXIT_CODES if kind is UnreadablePageError))


def _show(outcome: "Outcome") -> None:
    from service.cli import output  # noqa: PLC0415 - --help needs none of it

    if outcome.error is not None:
        return output.say(f"Error: {outcome.error}")
    output.say(f"{len(outcome.records)} records, {len(outcome.rejections)} rejections.")
    if outcome.records:
        names = [name for name in outcome.records[0] if name not in {"contracts", "summary"}]
        output.show(names, (output.pick(row, names) for row in outcome.records[:_SHOWN]))
    if outcome.rejections:
        output.show(("reason", "count"), outcome.rejections_by_reason.items())
        names = ["item", "external_id", "field", "rule", "reason"]
        output.show(names, (output.pick(row, names) for row in outcome.rejections[:_SHOWN]))
    return _say_rest(len(outcome.records), len(outcome.rejections))


def _say_rest(*counts: Any) -> None:
    from service.cli import output  # noqa: PLC0415 - --help needs none of it

    if max(counts) > _SHOWN:
        output.say(f"The first {_SHOWN} of each are shown; --json gives all.")
