"""``up``, ``demo`` and ``down``: everything on this machine with one command."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from service.cli.data_directory import DataDirectory
from service.cli.options import data_dir_option


def _system_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option(
            "--port",
            type=click.IntRange(1, 65535),
            default=8000,
            show_default=True,
            help="Of the API, on 127.0.0.1.",
        ),
        data_dir_option,
        click.option(
            "--workers",
            type=click.IntRange(1),
            default=2,
            show_default=True,
            help="Processes of the Celery worker.",
        ),
        click.option("--flower", is_flag=True, help="Also start Flower."),
        click.option(
            "--flower-port", type=click.IntRange(1, 65535), default=5555, show_default=True
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command
@click.option("--demo", is_flag=True, help="Against a simulated market instead of the vendors.")
@_system_options
def up(*, demo: bool, data_dir: Path, **options: Any) -> None:
    """Start everything and keep it up until Ctrl-C.

    PostgreSQL and Valkey are embedded unless DATABASE_URL and REDIS_URL are set. Every source is
    run once; after that the schedule decides.
    """
    _run(data_dir, demo=demo, once=False, **options)


@click.command
@click.option("--once", is_flag=True, help="Stop when every source has been run.")
@_system_options
def demo(*, once: bool, data_dir: Path, **options: Any) -> None:
    """Start everything against a simulated market.

    The connectors speak to it over HTTP as they would to the vendors. With --once the exit code
    is 0 only if every run succeeded.
    """
    _run(data_dir, demo=True, once=once, **options)


def _run(data_dir: Path, *, once: bool, **options: Any) -> None:
    from service.cli import starting, system  # noqa: PLC0415 - --help needs none of it

    plan = system.Plan(directory=DataDirectory(data_dir), **options)
    sys.exit(starting.run_system(plan, once=once))


@click.command
@data_dir_option
def down(*, data_dir: Path) -> None:
    """End what a start that was killed has left behind.

    A start that still runs is not touched: end it with Ctrl-C.
    """
    from service.cli import embedded  # noqa: PLC0415 - --help needs none of it
    from service.cli.output import say  # noqa: PLC0415
    from service.cli.supervisor import Supervisor  # noqa: PLC0415

    directory = DataDirectory(data_dir)
    if not data_dir.is_dir():
        return say(f"There is no {data_dir}.")
    with directory.held(), Supervisor(directory, say).running():
        embedded.stop_postgres(directory.postgres)
        embedded.stop_valkey(directory.valkey)
        directory.keep_environment({})
    return say(f"Nothing of {data_dir} is running.")
