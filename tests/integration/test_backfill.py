"""Backfills of the simulated CoinGecko, beside its live runs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.clock import system_clock
from tasks.core.errors import (
    BudgetSpentError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermanentError,
)
from tasks.pipeline import backfilling, replaying, retrying
from tasks.pipeline.backfilling import Plan
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.server import SimulatorServer
from tasks.simulator.simulator import Simulator
from tasks.sources import registry
from tasks.sources.gates import OpenGate
from tasks.sources.http import HttpLimits, RequestsHttpClient
from tasks.store.audit import Actor
from tests.support.api import exact
from tests.support.engine import ScriptedConnector, coin, workbench

pytestmark = pytest.mark.integration

SERVED = """
    select (select array_agg(q order by q.external_id) from quotes q)::text,
      (select array_agg(a order by a.asset_id) from assets a)::text,
      (select array_agg(c) from etl_checkpoints c)::text
"""


@pytest.fixture(scope="module")
def vendor():
    with SimulatorServer(("127.0.0.1", 0), Simulator(SimulatorConfig(coins=50))) as server:
        yield server


class Counting:
    """The real client, counting; a call may be told to fail."""

    def __init__(self, client):
        self.client, self.asked, self.failures = client, [], {}

    def get(self, url, **kwargs):
        self.asked.append(url)
        if len(self.asked) in self.failures:
            raise self.failures.pop(len(self.asked))
        return self.client.get(url, **kwargs)


@pytest.fixture
def source():
    coins = [coin("bitcoin", "67000", symbol="BTC", rank=1), coin("ethereum", "3300", rank=2)]
    return ScriptedConnector(pages=[coins])


@pytest.fixture
def client():
    return Counting(
        RequestsHttpClient("coingecko", system_clock(), gate=OpenGate(), limits=HttpLimits())
    )


@pytest.fixture
def bench(settings, source, vendor, client):
    there = replace(settings.sources["coingecko"], base_url=f"{vendor.url}/api/v3")
    settings = replace(settings, sources=settings.sources | {"coingecko": there})
    with workbench(settings, source) as bench:
        bench.dependencies = replace(
            bench.dependencies,
            histories={"coingecko": registry.history("coingecko")},
            http_client=lambda _source: client,
        )
        bench.run()
        yield bench


def _midnight(days_ago):
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days_ago)


def _plan(bench, since=120, until=0, coins=None) -> Plan:
    return backfilling.plan(
        bench.dependencies, "coingecko", since=_midnight(since), until=_midnight(until), coins=coins
    )


def _backfill(bench, **kwargs):
    run_id = backfilling.start(bench.dependencies, _plan(bench, **kwargs))
    bench.drain()
    return bench.one("select * from etl_runs where run_id = :id", id=run_id)


def _points(bench):
    return bench.one("select count(*) as n from quote_history where backfilled").n


def test_a_backfill_fills_the_history_and_touches_nothing_else(bench, api):
    before = bench.one(SERVED)
    run = _backfill(bench)
    assert (run.status, run.trigger, run.records_failed) == ("success", "backfill", 0)
    # The moment at which two pieces meet is in both.
    assert run.records_processed == _points(bench) + 2 > 2 * 110 * 24
    assert bench.one(SERVED) == before
    assert run.checkpoint_after == run.checkpoint_before
    body = exact(api.get("/data/BTC/history?interval=1d&limit=5000"))
    assert len(body["data"]) >= 120
    assert all(day["backfilled"] for day in body["data"][-100:])
    raw = exact(api.get(f"/data/BTC/history?start={_midnight(3):%F}&limit=10"))["data"]
    assert {point["backfilled"] for point in raw} == {True}


def test_it_costs_a_call_for_each_coin_and_ninety_days(bench, client):
    assert _plan(bench, since=90).calls == 2
    assert _plan(bench, since=91).calls == 4
    assert _plan(bench, since=360, coins=["bitcoin"]).calls == 4
    assert client.asked == []
    _backfill(bench, since=91)
    assert len(client.asked) == 4


def test_overlapping_backfills_add_no_point_twice(bench):
    _backfill(bench, since=60, until=20)
    first = _points(bench)
    again = _backfill(bench, since=60, until=20)
    assert (again.status, _points(bench)) == ("success", first)
    _backfill(bench, since=60, until=10)
    stamps = bench.one(
        "select count(*) as n, count(distinct (asset_id, observed_at)) as d from quote_history"
    )
    assert stamps.n == stamps.d
    assert _points(bench) > first


def test_a_month_that_is_filled_has_its_own_partition(bench):
    _backfill(bench, since=60)
    assert bench.one("select count(*) as n from quote_history_default where backfilled").n == 0


def test_a_backfill_that_broke_off_goes_on_where_it_stopped(bench, client):
    client.failures = {3: PermanentError("The vendor refuses.")}
    run = _backfill(bench, since=180)
    assert (run.status, len(client.asked)) == ("failed", 3)
    resumed = _plan(bench, since=180)
    assert resumed.resumes == run.run_id
    done = _backfill(bench, since=180)
    assert (done.status, done.resumed_run_id) == ("success", run.run_id)
    assert len(client.asked) == 5
    coins = bench.rows(
        "select external_id, count(*) from quote_history where backfilled group by 1"
    )
    assert {row.external_id for row in coins} == {"bitcoin", "ethereum"}
    assert _plan(bench, since=180).resumes is None


def test_one_that_ran_out_of_budget_goes_on_next_month(bench, client):
    client.failures = {2: BudgetSpentError("The calls of this month are made.")}
    run = _backfill(bench, since=90)
    assert run.status == "skipped"
    retrying.retry(bench.dependencies, run.run_id, actor=Actor("operator"))
    bench.drain()
    child = bench.one("select * from etl_runs where parent_run_id = :id", id=run.run_id)
    assert (child.status, child.trigger, len(client.asked)) == ("success", "backfill", 3)


def test_a_live_run_goes_on_beside_it_and_resumes_nothing_of_it(bench, source, client):
    client.failures = {1: PermanentError("The vendor refuses.")}
    assert _backfill(bench, since=30).status == "failed"
    backfilling.start(bench.dependencies, _plan(bench, since=30))
    source.pages = [[coin("bitcoin", "68000", symbol="BTC", rank=1, at="2026-02-01T00:00:00Z")]]
    live = bench.run()
    runs = {row.trigger: row for row in bench.rows("select * from etl_runs where status='success'")}
    assert runs["backfill"].run_id
    assert bench.one("select resumed_run_id from etl_runs where run_id = :id", id=live)[0] is None
    assert (
        bench.one("select price_usd from quotes where external_id = 'bitcoin'").price_usd == 68000
    )


def test_a_source_has_one_backfill_at_a_time(bench):
    backfilling.start(bench.dependencies, _plan(bench, since=30))
    with pytest.raises(ConflictError, match="active run"):
        backfilling.start(bench.dependencies, _plan(bench, since=30))


def test_a_coin_the_vendor_does_not_know_any_more_stops_nobody(bench, source):
    source.pages = [[coin("gone-for-good", "1", symbol="GONE", rank=3)]]
    bench.run()
    run = _backfill(bench, since=30)
    assert run.status == "success"
    coins = bench.rows("select distinct external_id from quote_history where backfilled")
    assert {row.external_id for row in coins} == {"bitcoin", "ethereum"}


def test_a_backfill_is_not_replayed(bench):
    run = _backfill(bench, since=2)
    with pytest.raises(ConflictError, match="not replayed"):
        replaying.replay(bench.dependencies, run.run_id)


@pytest.mark.parametrize(
    ("kwargs", "field"),
    [
        ({"since": 2, "until": 2}, "to"),
        ({"since": 2, "until": -2}, "to"),
        ({"since": 3000}, "from"),
        ({"coins": ["bitcoin", "unheard-of"]}, "coins"),
    ],
)
def test_what_cannot_be_filled_is_refused_by_name(bench, kwargs, field):
    with pytest.raises(InvalidInputError) as refused:
        _plan(bench, **kwargs)
    assert refused.value.context["field"] == field


def test_only_a_source_that_keeps_its_past_can_be_asked(bench):
    with pytest.raises(NotFoundError):
        backfilling.plan(bench.dependencies, "rss", since=_midnight(2), until=_midnight(1))
