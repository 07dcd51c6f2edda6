"""``probe``: whether a role is well, as health checks of containers ask."""

import sys
from pathlib import Path

import click

from service.cli.command_lines import WORKER_NAME
from service.cli.entry import NOT_ALL_WELL
from service.cli.options import data_dir_option

_ROLES = ("api", "worker", "beat", "flower", "simulator")


@click.command
@click.argument("role", type=click.Choice(_ROLES), default="api")
@click.option("--port", type=click.IntRange(1, 65535), help="Of the role, if not its default.")
@click.option("--name", default=WORKER_NAME, show_default=True, help="As given to the worker.")
@data_dir_option
def probe(*, role: str, port: int | None, name: str, data_dir: Path) -> None:
    """Tell whether a role on this host is well; exit 1 if not.

    The API must be ready, Flower and the simulator must answer at all. A worker or beat must have
    been seen within the last minute. A database that the API misses, or a broker without which
    nobody can tell, is not held against them: a new start would mend nothing.
    """
    from service.cli import probes  # noqa: PLC0415 - --help needs none of it

    if role in probes.PAGES:
        problem = probes.page(role, port)
    else:
        problem = probes.heartbeat(role, name, data_dir)
    if problem:
        click.echo(problem, err=True)
        sys.exit(NOT_ALL_WELL)
