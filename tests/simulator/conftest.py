"""A small market over HTTP, whose ticks come only by hand."""

from collections.abc import Iterator

import pytest
import requests

from tasks.simulator.config import SimulatorConfig
from tasks.simulator.server import SimulatorServer, create_server

SMALL = SimulatorConfig(
    seed=7, coins=900, coingecko_coins=600, coinpaprika_tickers=500, moving=False
)


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorServer]:
    with create_server(SMALL) as running:
        yield running


@pytest.fixture
def simulator(server):
    server.simulator.reset()
    yield server.simulator
    server.simulator.reset()
    for source in ("coingecko", "coinpaprika", "rss"):
        server.simulator.limit(source, None)


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture
def get(server, simulator, http):
    """Call a path of the simulator and return the response."""

    def call(path, *, headers=None, timeout=10, **query):
        return http.get(server.url + path, params=query, headers=headers, timeout=timeout)

    return call


@pytest.fixture
def markets(get):
    """Read one page of ``/coins/markets``."""

    def call(page=1, per_page=250, **query):
        return get(
            "/api/v3/coins/markets", vs_currency="usd", per_page=per_page, page=page, **query
        )

    return call
