"""The simulated market in a process of its own: ``python -m tests.benchmarks.simulated PORT …``."""

import sys

from tasks.simulator.config import SimulatorConfig
from tasks.simulator.server import create_server


def main(port: int, coingecko: int, coinpaprika: int) -> None:
    """Serve until ended; every coin changes on every tick, and only when told."""
    config = SimulatorConfig(
        coins=max(coingecko, coinpaprika),
        coingecko_coins=coingecko,
        coinpaprika_tickers=coinpaprika,
        all_change=True,
        moving=False,
    )
    create_server(config, port=port).serve()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
