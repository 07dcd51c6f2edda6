"""``simulator``: the simulated vendors, alone."""

import json
from pathlib import Path
from typing import Any

import click


@click.command
@click.option("--port", type=click.IntRange(0, 65535), default=8100, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything it makes up.")
@click.option("--coins", type=click.IntRange(1), help="Coins in the whole market.")
@click.option("--coingecko", type=click.IntRange(1), help="Coins that CoinGecko lists.")
@click.option("--coinpaprika", type=click.IntRange(1), help="Coins that CoinPaprika lists.")
@click.option("--csv-rows", type=click.IntRange(1), help="Rows of the CSV files.")
@click.option(
    "--csv",
    "csv_directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".kasparro/csv"),
    show_default=True,
    help="Where to write the CSV files.",
)
def simulator(*, port: int, csv_directory: Path, **options: Any) -> None:
    """Serve a simulated market.

    Prints the settings that point kasparro at it, as one JSON object, and serves until it is
    ended.
    """
    from tasks.simulator.config import SimulatorConfig  # noqa: PLC0415 - --help needs none of it
    from tasks.simulator.csv_files import write_csv  # noqa: PLC0415
    from tasks.simulator.server import create_server, environment  # noqa: PLC0415

    names = {"coingecko": "coingecko_coins", "coinpaprika": "coinpaprika_tickers"}
    chosen = {names.get(name, name): value for name, value in options.items() if value is not None}
    config = SimulatorConfig(**chosen)
    server = create_server(config, port=port)
    write_csv(server.simulator.market, csv_directory, rows=config.csv_rows)
    click.echo(json.dumps(environment(server.url, str(csv_directory.absolute()))))
    server.serve()
