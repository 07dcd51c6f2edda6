"""``db``: the schema."""

import sys
from pathlib import Path

import click

from service.cli.entry import NOT_ALL_WELL
from service.cli.options import data_dir_option, json_option


@click.group
def db() -> None:
    """Bring the database's schema up to date."""


@db.command
@data_dir_option
def upgrade(*, data_dir: Path) -> None:
    """Apply every migration that is missing."""
    from service.cli import connecting, migrating  # noqa: PLC0415 - --help needs none of it
    from service.cli.output import say  # noqa: PLC0415

    settings = connecting.settings_of(data_dir)
    migrating.upgrade(settings.database_url)
    say(f"The schema is at {migrating.revisions(settings.database_url).head}.")


@db.command
@data_dir_option
@json_option
def check(*, data_dir: Path, as_json: bool) -> None:
    """Tell whether the schema is what this version expects; exit 1 if not."""
    from service.cli import connecting, migrating, output  # noqa: PLC0415 - --help needs none

    found = migrating.revisions(connecting.settings_of(data_dir).database_url)
    if as_json:
        output.emit(found._asdict() | {"current_is_head": found.agree})
    elif found.agree:
        output.say(f"The schema is at {found.current}, as it should be.")
    else:
        output.say(
            f"The schema is at {found.current}, not {found.head}: run `kasparro db upgrade`."
        )
    if not found.agree:
        sys.exit(NOT_ALL_WELL)
