"""``api``, ``worker``, ``beat`` and ``flower``: this process becomes one role of the system.

They are for containers and service managers, which look after one program each. The settings are
checked first, so that what is wrong is a list of sentences and not a traceback of the program.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from service.cli import command_lines
from service.cli.options import data_dir_option

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_host_option = click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on."
)


def _port_option(default: int) -> Callable[..., Any]:
    kind = click.IntRange(1, 65535)
    return click.option("--port", type=kind, default=default, show_default=True)


@click.command
@_host_option
@_port_option(8000)
@data_dir_option
def api(*, host: str, port: int, data_dir: Path) -> None:
    """Serve the API and the dashboard.

    GUNICORN_CMD_ARGS changes the number of processes and threads.
    """
    _become(command_lines.api(host=host, port=port), data_dir)


@click.command
@click.option(
    "--queues",
    default=",".join(command_lines.QUEUES),
    show_default=True,
    help="What it consumes; by comma.",
)
@click.option(
    "--concurrency", type=click.IntRange(1), default=2, show_default=True, help="Processes."
)
@click.option(
    "--name",
    default=command_lines.WORKER_NAME,
    show_default=True,
    help="Tells several workers of one host apart.",
)
@data_dir_option
def worker(*, queues: str, concurrency: int, name: str, data_dir: Path) -> None:
    """Work on the messages of some queues."""
    wanted = [queue.strip() for queue in queues.split(",") if queue.strip()]
    if not wanted or (unknown := sorted({*wanted} - {*command_lines.QUEUES})):
        known = ", ".join(command_lines.QUEUES)
        raise click.BadParameter(
            f"{', '.join(unknown) if wanted else 'nothing'} is not among {known}",
            param_hint="--queues",
        )
    _become(command_lines.worker(queues=wanted, concurrency=concurrency, name=name), data_dir)


@click.command
@data_dir_option
def beat(*, data_dir: Path) -> None:
    """Start the sources' runs when they are due."""
    data_dir.mkdir(parents=True, exist_ok=True)
    _become(command_lines.beat(schedule=data_dir / "celerybeat"), data_dir)


@click.command
@_host_option
@_port_option(5555)
@click.option("--allow-control", is_flag=True, help="Let its users also stop and change workers.")
@data_dir_option
def flower(*, host: str, port: int, allow_control: bool, data_dir: Path) -> None:
    """Show the workers and their tasks in Flower, read only.

    FLOWER_BASIC_AUTH, as user:password, is needed unless it listens on the loopback address.
    """
    from tasks.core import settings  # noqa: PLC0415 - --help needs none of it
    from tasks.core.errors import ConfigurationError  # noqa: PLC0415

    if host not in _LOOPBACK and not settings.is_set("FLOWER_BASIC_AUTH"):
        raise ConfigurationError(
            "FLOWER_BASIC_AUTH: set it to user:password, or others could look at the workers."
        )
    line = command_lines.flower(host=host, port=port, is_read_only=not allow_control)
    _become(line, data_dir)


def _become(line: tuple[str, ...], data_dir: Path) -> NoReturn:
    """Check the settings and replace this process, which so gets the signals of its manager."""
    from service.cli import connecting  # noqa: PLC0415 - --help needs none of it

    connecting.settings_of(data_dir)
    os.execv(line[0], line)  # noqa: S606 - our own programs
