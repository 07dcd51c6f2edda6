"""A real worker is struck at every failpoint: the tables are those of a run nobody disturbed.

A part of the table runs with the whole suite, all of it with ``make chaos``. Errors at every
failpoint, and the death of a process at each, are in ``tests/integration/test_failpoints.py``.
"""

import pytest
import redis

from service.cli import embedded
from tasks.core import failpoints
from tasks.core.settings import load_settings
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.server import create_server, environment
from tests.support import chaos
from tests.support.chaos import System, Worker
from tests.support.outcomes import check, tables

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

BLOWS = {
    "broker_cut": chaos.cut_broker,
    "database_cut": chaos.cut_database,
    "worker_killed": chaos.kill_worker,
    "child_killed": chaos.kill_child,
}
QUICK = {
    ("broker_cut", failpoints.BEFORE_FETCH),
    ("broker_cut", failpoints.BEFORE_PUBLISH),
    ("database_cut", failpoints.BEFORE_RAW_COMMIT),
    ("database_cut", failpoints.AFTER_CHECKPOINT),
    ("child_killed", failpoints.AFTER_STAGING_COMMIT),
    ("worker_killed", failpoints.AFTER_LOAD),
}
CASES = [
    pytest.param(
        blow,
        point,
        marks=[] if (blow, point) in QUICK else [pytest.mark.chaos],
        id=f"{point}-{blow}",
    )
    for point in failpoints.NAMES
    for blow in BLOWS
]


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """Three pages of coins that all change with each tick, one of which is always bad."""
    config = SimulatorConfig(
        coins=600, coingecko_coins=600, coinpaprika_tickers=1, moving=False, all_change=True
    )
    with create_server(config) as server:
        server.simulator.fail(
            "coingecko", "bad_item", field="current_price", value="?", item=3, page=2, times=None
        )
        csv = str(tmp_path_factory.mktemp("csv"))
        yield server.simulator, environment(server.url, csv) | {"SOURCES": "coingecko"}


@pytest.fixture(scope="module")
def systems(market, databases, tmp_path_factory):
    """The undisturbed engine, and the one whose worker is struck; one worker for the module."""
    directory = tmp_path_factory.mktemp("chaos")
    broker = embedded.start_valkey(directory / "broker")
    with (
        databases.cloned() as calm_url,
        databases.cloned() as rough_url,
        pytest.MonkeyPatch.context() as patch,
    ):
        variables = market[1] | {"REDIS_URL": broker}
        for name, value in variables.items():
            patch.setenv(name, value)
        settings = {}
        for url in (calm_url, rough_url):
            patch.setenv("DATABASE_URL", url)
            settings[url] = load_settings()
        with (
            chaos.benches(settings[calm_url], settings[rough_url]) as (calm, rough),
            Worker.running(variables | {"DATABASE_URL": rough_url}, directory / "log") as worker,
            redis.Redis.from_url(broker) as client,
        ):
            yield calm, System(rough, worker, client)
    embedded.stop_valkey(directory / "broker")


@pytest.mark.parametrize(("blow", "point"), CASES)
def test_whatever_happens_to_a_worker_costs_nothing(market, systems, blow, point):
    calm, rough = systems
    market[0].advance(1)
    assert calm.status(calm.run()) == "partial"
    rough.disturb(point, BLOWS[blow])
    check(rough.bench, tables(calm))


def test_work_is_put_off_while_the_database_is_away(market, systems):
    calm, rough = systems
    market[0].advance(1)
    assert calm.status(calm.run()) == "partial"
    rough.disturb(failpoints.AFTER_STAGING, chaos.lose_database)
    check(rough.bench, tables(calm))
