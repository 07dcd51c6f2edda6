"""The connectors against the simulated market, with what it can be told to do wrong."""

import threading
from types import SimpleNamespace

import pytest

from tasks.coordination.budget import CallLimits, RedisBudget
from tasks.coordination.circuit import RedisCircuit
from tasks.coordination.gate import RedisGate
from tasks.coordination.redis_client import create_redis_client
from tasks.core.clock import system_clock
from tasks.core.errors import PermanentError, RateLimitedError, TransientError
from tasks.core.schedules import parse_schedule
from tasks.core.settings import SourceSettings
from tasks.domain.records import Rejection
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.server import SimulatorServer
from tasks.simulator.simulator import Simulator
from tasks.sources import registry
from tasks.sources.base import FetchContext
from tasks.sources.gates import OpenGate
from tasks.sources.http import HttpLimits, RequestsHttpClient
from tests.support.clocks import FakeClock

PATHS = {"coingecko": "/api/v3", "coinpaprika": "/v1"}
VENDORS = sorted(PATHS)


@pytest.fixture(scope="module")
def server():
    config = SimulatorConfig(coins=1000, coingecko_coins=600, coinpaprika_tickers=700, moving=False)
    with SimulatorServer(("127.0.0.1", 0), Simulator(config)) as server:
        yield server


@pytest.fixture
def market(server):
    """What a run does with one source, from the first page to the last."""
    clock = FakeClock(start=system_clock().now())
    http = RequestsHttpClient(
        "vendor", clock.clock(), gate=OpenGate(), limits=HttpLimits(silence_s=1)
    )

    def read(name):
        connector, cursor, outcomes = registry.get(name), None, []
        settings = SourceSettings(
            name=name, schedule=parse_schedule("60"), base_url=server.url + PATHS[name]
        )
        context = FetchContext(settings=settings, http=http, clock=clock.clock(), checkpoint={})
        while True:
            fetched = connector.fetch(context, cursor)
            for page in fetched.pages:
                outcomes += map(connector.normalise, connector.parse(page))
            cursor = fetched.next_cursor
            if cursor is None:
                return outcomes

    yield SimpleNamespace(read=read, simulator=server.simulator)
    server.simulator.reset()
    http.close()


def rejected(outcomes):
    return [outcome for outcome in outcomes if isinstance(outcome, Rejection)]


@pytest.mark.parametrize(("name", "count"), [("coingecko", 600), ("coinpaprika", 700)])
def test_the_whole_market_is_read_without_a_rejection(market, name, count):
    outcomes = market.read(name)
    assert len(outcomes) == count
    assert rejected(outcomes) == []
    assert len({quote.external_id for quote in outcomes}) == count


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("kind", ["reset", "truncate", "html", "empty", "status"])
def test_a_passing_fault_costs_one_call_more(market, name, kind):
    market.simulator.reset()
    undisturbed = market.read(name)
    calls = len(market.simulator.requests(name))
    market.simulator.fail(name, kind)
    assert market.read(name) == undisturbed
    assert len(market.simulator.requests(name)) == 2 * calls + 1


@pytest.mark.parametrize("name", VENDORS)
def test_a_lasting_fault_is_transient(market, name):
    market.simulator.fail(name, "truncate", times=None)
    with pytest.raises(TransientError):
        market.read(name)


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize(
    ("options", "wait_s"), [({}, 60), ({"retry_after_s": 119}, 119)], ids=["silent", "told"]
)
def test_a_rate_limit_says_how_long(market, name, options, wait_s):
    market.simulator.fail(name, "status", status=429, **options)
    with pytest.raises(RateLimitedError) as raised:
        market.read(name)
    assert raised.value.retry_after_s == wait_s


@pytest.mark.parametrize("name", VENDORS)
def test_a_refused_key_is_permanent(market, name):
    market.simulator.fail(name, "status", status=401)
    with pytest.raises(PermanentError, match="_API_KEY"):
        market.read(name)


@pytest.mark.parametrize("name", VENDORS)
def test_a_bad_item_is_rejected_and_its_neighbours_are_not(market, name):
    market.simulator.fail(name, "bad_item", field="symbol", value=7, item=3)
    outcomes = market.read(name)
    (rejection,) = rejected(outcomes)
    assert outcomes[3] == rejection
    assert (rejection.field, rejection.rule) == ("symbol", "type")


@pytest.mark.parametrize(
    ("name", "field"), [("coingecko", "current_price"), ("coinpaprika", "quotes.USD.price")]
)
def test_prices_sent_as_text_are_the_same_prices(market, name, field):
    undisturbed = market.read(name)
    market.simulator.fail(name, "retype_field", field=field, times=None)
    for before, after in zip(undisturbed, market.read(name), strict=True):
        # A missing price becomes the text "null" then, and that is not one.
        assert after == before or (before.price_usd is None and isinstance(after, Rejection))


def test_the_vendor_never_sees_more_calls_than_the_rate(server, redis_url):
    """Three workers that ask as fast as they can, through budget, client and network."""
    server.simulator.reset()
    limits = CallLimits(rate=5, monthly=None, window_s=0.3, jitter_s=0.1)

    def work():
        client = create_redis_client(redis_url)
        gate = RedisGate(
            "coingecko",
            RedisBudget(client, system_clock(), "coingecko", limits),
            RedisCircuit(client, "coingecko"),
        )
        http = RequestsHttpClient("coingecko", system_clock(), gate=gate, limits=HttpLimits())
        for _ in range(5):
            http.get(
                f"{server.url}/api/v3/coins/markets", params={"vs_currency": "usd", "per_page": 1}
            )
        http.close()
        client.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(server.simulator.requests("coingecko")) == 15
    assert server.simulator.max_in_window("coingecko", limits.window_s) <= 5
