"""``doctor``: checks every dependency and says what to do."""

import sys
from pathlib import Path

import click

from service.cli.entry import NOT_ALL_WELL
from service.cli.options import data_dir_option, json_option

_MARKS = {True: "[green]ok[/]", False: "[red]not ok[/]"}


@click.command
@data_dir_option
@json_option
def doctor(*, data_dir: Path, as_json: bool) -> None:
    """Check every dependency and say what to do.

    The exit code is 0 if all is well, else 1.
    """
    from service.cli import checks, output  # noqa: PLC0415 - --help needs none of it

    found = checks.examine(data_dir)
    if as_json:
        output.emit([check._asdict() | {"ok": check.ok} for check in found])
    else:
        rows = ((check.name, _MARKS[check.ok], check.found, check.advice) for check in found)
        output.show(("check", "state", "found", "what to do"), rows)
    if not all(check.ok for check in found):
        sys.exit(NOT_ALL_WELL)
