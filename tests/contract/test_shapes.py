"""Declared shapes, and vendors that speak as they are documented to."""

from pathlib import Path

import pytest

from tasks.core.clock import system_clock
from tasks.core.schedules import parse_schedule
from tasks.core.settings import SourceSettings
from tasks.domain import drift
from tasks.domain.pages import Page
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.server import SimulatorServer
from tasks.simulator.simulator import Simulator
from tasks.sources import declared, registry
from tasks.sources.base import FetchContext
from tasks.sources.gates import OpenGate
from tasks.sources.http import HttpLimits, RequestsHttpClient

PATHS = {"coingecko": "/api/v3", "coinpaprika": "/v1"}
DECLARED = sorted(
    path.stem for path in (Path(declared.__file__).parents[2] / "data/shapes").glob("*.json")
)


def found(connector, pages):
    name = connector.spec.name
    for page in pages:
        shape = declared.shape(name, connector.spec.schema_name(page))
        yield drift.examine([item.payload for item in connector.parse(page)], shape)


@pytest.mark.parametrize("name", DECLARED)
def test_a_declared_shape_belongs_to_a_source_and_names_its_schema(name):
    connector = registry.get(name)
    page = Page(request="", body=b"[]", media_type="", checkpoint={})
    assert connector.spec.schema_name(page) == declared.declaration(name).schema_name
    assert declared.declaration(name).documentation


@pytest.mark.parametrize("name", DECLARED)
def test_the_simulated_source_does_not_drift(name):
    config = SimulatorConfig(coins=600, coingecko_coins=600, coinpaprika_tickers=600, moving=False)
    with SimulatorServer(("127.0.0.1", 0), Simulator(config)) as server:
        clock = system_clock()
        context = FetchContext(
            settings=SourceSettings(
                name=name, schedule=parse_schedule("60"), base_url=server.url + PATHS[name]
            ),
            http=RequestsHttpClient("vendor", clock, gate=OpenGate(), limits=HttpLimits()),
            clock=clock,
            checkpoint={},
        )
        connector = registry.get(name)
        first = connector.fetch(context, None)
        assert [finding for finding in found(connector, first.pages) if finding] == []
