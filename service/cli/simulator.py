"""``simulator``: the simulated vendors, alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _size(name: str, text: str) -> Callable[[_Command], _Command]:
    variable = f"SIMULATOR_{name.upper().replace('-', '_')}"
    return click.option(
        f"--{name}", type=click.IntRange(1), envvar=variable, show_envvar=True, help=text
    )


@click.command
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8100, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything it makes up.")
@_size("coins", "Coins in the whole market.")
@_size("coingecko", "Coins that CoinGecko lists.")
@_size("coinpaprika", "Coins that CoinPaprika lists.")
@_size("csv-rows", "Rows of the CSV files.")
@click.option(
    "--csv",
    "csv_directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".kasparro/csv"),
    show_default=True,
    help="Where to write the CSV files.",
)
def simulator(*, host: str, port: int, csv_directory: Path, **options: Any) -> None:
    """Serve a simulated market.

    Prints the settings that point kasparro at it, as one JSON object, and serves until it is
    ended. The demo's simulator takes its sizes from the variables.
    """
    from tasks.simulator.config import SimulatorConfig  # noqa: PLC0415 - --help needs none of it
    from tasks.simulator.csv_files import write_csv  # noqa: PLC0415
    from tasks.simulator.server import create_server, environment  # noqa: PLC0415

    names = {"coingecko": "coingecko_coins", "coinpaprika": "coinpaprika_tickers"}
    chosen = {names.get(name, name): value for name, value in options.items() if value is not None}
    config = SimulatorConfig(**chosen)
    server = create_server(config, host, port)
    write_csv(server.simulator.market, csv_directory, rows=config.csv_rows)
    click.echo(json.dumps(environment(server.url, str(csv_directory.absolute()))))
    server.serve()
