"""``kasparro``: the table of commands, and the table of exit codes."""

import sys
from typing import Any

import click

from service.cli.lazy import Lazy, LazyGroup
from service.version import VERSION
from tasks.core.errors import (
    CallerError,
    ConfigurationError,
    ConflictError,
    KasparroError,
    PermanentError,
    TransientError,
    UnreadablePageError,
)

NOT_ALL_WELL = 1
"""The command did its work, and what it reports is not good: a run failed, a check did."""

EXIT_CODES: tuple[tuple[type[KasparroError], int], ...] = (
    # The first class that matches counts. The numbers are those of sysexits.h; 2 is click's own.
    (ConfigurationError, 78),
    (ConflictError, 75),
    (CallerError, 2),
    (TransientError, 69),
    (UnreadablePageError, 65),
    (PermanentError, 70),
    (KasparroError, 70),
)

COMMANDS = {
    "up": Lazy("service.cli.up:up", "Start everything and keep it up until Ctrl-C."),
    "demo": Lazy("service.cli.up:demo", "Start everything against a simulated market."),
    "down": Lazy("service.cli.up:down", "End what a start that was killed has left behind."),
    "run": Lazy("service.cli.runs:run", "Start runs of sources now."),
    "backfill": Lazy("service.cli.backfill:backfill", "Fetch a source's past into the history."),
    "retry": Lazy("service.cli.repeating:retry", "Try runs again that broke off, or those named."),
    "replay": Lazy("service.cli.repeating:replay", "Load again what a source has brought."),
    "runs": Lazy("service.cli.runs:runs", "List the newest runs."),
    "sources": Lazy("service.cli.sources:sources", "List the sources, or try one on a file."),
    "assets": Lazy("service.cli.assets:assets", "Say which asset an item of a source is."),
    "keys": Lazy("service.cli.keys:keys", "Create, list and revoke API keys."),
    "db": Lazy("service.cli.database:db", "Bring the database's schema up to date."),
    "doctor": Lazy("service.cli.doctor:doctor", "Check every dependency and say what to do."),
    "api": Lazy("service.cli.roles:api", "Serve the API and the dashboard."),
    "worker": Lazy("service.cli.roles:worker", "Work on the messages of some queues."),
    "beat": Lazy("service.cli.roles:beat", "Start the sources' runs when they are due."),
    "flower": Lazy(
        "service.cli.roles:flower", "Show the workers and their tasks in Flower, read only."
    ),
    "probe": Lazy(
        "service.cli.probing:probe", "Tell whether a role on this host is well; exit 1 if not."
    ),
    "simulator": Lazy("service.cli.simulator:simulator", "Serve a simulated market."),
    "eval": Lazy("service.cli.evaluation:evaluation", "Measure rules against labelled examples."),
    "openapi": Lazy("service.cli.openapi:openapi", "Print the API's description."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION)
def kasparro() -> None:
    """One trustworthy price per crypto asset, from many sources, in PostgreSQL."""


def exit_code_of(error: KasparroError) -> int:
    """Return the exit code of the table for an error."""
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def main(arguments: list[str] | None = None, **kwargs: Any) -> None:
    """Run a command; an error of ours is a sentence and an exit code, never a traceback."""
    try:
        kasparro.main(arguments, **kwargs)
    except KasparroError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(exit_code_of(error))
