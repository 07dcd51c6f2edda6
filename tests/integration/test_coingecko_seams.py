"""Coins that change places while CoinGecko's list is read, answered over real HTTP."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tasks.core.errors import BudgetSpentError
from tasks.core.schedules import parse_schedule
from tasks.core.settings import SourceSettings
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.server import create_server
from tasks.sources import coingecko_seams
from tasks.sources.base import FetchContext, Response
from tasks.sources.coingecko import CoinGecko
from tasks.sources.gates import OpenGate
from tasks.sources.http import HttpLimits, RequestsHttpClient
from tests.support import upstreams
from tests.support.clocks import FakeClock
from tests.support.gates import RecordingGate

SIZE = 250


class MovingList:
    """A ranked list; ``moves`` says what happens after so many calls."""

    def __init__(self, count, moves):
        self.ranked = [f"coin-{number}" for number in range(count)]
        self.moves = moves
        self.asked = []

    def answer(self, page):
        self.asked.append(page)
        found = self.ranked[(page - 1) * SIZE : page * SIZE]
        for coin, place in self.moves.get(len(self.asked), ()):
            self.ranked.remove(coin)
            self.ranked.insert(place, coin)
        return [
            {"id": coin, "symbol": "c", "name": "C", "last_updated": "2026-11-20T11:00:00Z"}
            for coin in found
        ]


class MemoryHttp:
    """A list without the network, for properties; ``spent_after`` calls the budget is spent."""

    def __init__(self, listed, spent_after=10**9):
        self.listed, self.spent_after = listed, spent_after

    def get(self, url, *, params, headers, judge):
        if len(self.listed.asked) >= self.spent_after:
            raise BudgetSpentError
        body = json.dumps(self.listed.answer(params["page"])).encode()
        return Response(url=url, status=200, headers={}, content=body)


def read(http, **settings):
    """Fetch as a run does, its cursor kept as JSON in between; returns the pages."""
    settings = {"name": "coingecko", "schedule": parse_schedule("3600")} | settings
    context = FetchContext(
        settings=SourceSettings(**settings), http=http, clock=FakeClock().clock(), checkpoint={}
    )
    pages, cursor = [], None
    while True:
        fetched = CoinGecko().fetch(context, cursor)
        pages.extend(fetched.pages)
        if fetched.next_cursor is None:
            return pages
        cursor = json.loads(json.dumps(fetched.next_cursor))


def found(pages):
    return [coin["id"] for page in pages for coin in json.loads(page.body)]


@pytest.fixture
def vendor():
    market = SimpleNamespace(listed=None)

    def reply(handler):
        page = int(parse_qs(urlsplit(handler.path).query)["page"][0])
        upstreams.answer(json.dumps(market.listed.answer(page)).encode())(handler)

    with upstreams.running_upstream() as upstream:
        upstream.will(reply)
        http = RequestsHttpClient(
            "coingecko", FakeClock().clock(), gate=RecordingGate(), limits=HttpLimits()
        )
        market.read = lambda: read(http, base_url=upstream.url)
        yield market
        http.close()


def test_a_coin_that_rises_across_a_seam_is_found_on_the_page_before(vendor):
    vendor.listed = MovingList(800, {2: [("coin-600", 480)]})
    pages = vendor.read()
    assert vendor.listed.asked == [1, 2, 3, 2, 4]
    assert set(found(pages)) == set(vendor.listed.ranked)
    assert [page.item_count for page in pages] == [250, 250, 250, 1, 50]
    assert found([pages[3]]) == ["coin-600"]
    assert pages[-1].checkpoint["pages"] == 4
    assert pages[-1].checkpoint["seams"] == {"moved": 1, "reread": 1, "recovered": 1}


def test_a_seam_before_the_last_page_is_read_again_after_it(vendor):
    vendor.listed = MovingList(300, {1: [("coin-299", 0)]})
    pages = vendor.read()
    assert vendor.listed.asked == [1, 2, 1]
    assert set(found(pages)) == set(vendor.listed.ranked)
    assert pages[-1].checkpoint["pages"] == 2


def test_a_list_that_holds_still_costs_no_further_call(vendor):
    vendor.listed = MovingList(600, {1: [("coin-0", 249), ("coin-599", 300)]})
    pages = vendor.read()
    assert vendor.listed.asked == [1, 2, 3]
    assert "seams" not in pages[-1].checkpoint


def test_a_list_in_turmoil_costs_few_further_calls_and_is_counted():
    moves = {call: [(f"coin-{call * SIZE + 9}", 0)] for call in range(1, 12)}
    listed = MovingList(SIZE * 12 + 10, moves)
    pages = read(MemoryHttp(listed))
    seams = pages[-1].checkpoint["seams"]
    assert seams["reread"] == coingecko_seams.MAX_REREADS
    assert seams["moved"] > seams["reread"]
    assert len(listed.asked) == 13 + coingecko_seams.MAX_REREADS


def test_a_budget_that_ends_while_a_seam_is_read_again_does_not_end_the_run():
    listed = MovingList(300, {1: [("coin-299", 0)]})
    pages = read(MemoryHttp(listed, spent_after=2))
    assert [page.item_count for page in pages] == [250, 50, 0]
    assert pages[-1].checkpoint["seams"] == {"moved": 1, "reread": 0, "recovered": 0}


def test_a_limit_on_coins_holds_for_the_list_and_not_for_what_rose_into_it():
    listed = MovingList(800, {1: [("coin-260", 0)]})
    pages = read(MemoryHttp(listed), max_coins=500)
    assert listed.asked == [1, 2, 1]
    assert set(found(pages)) == set(listed.ranked[:500])


def _crosses_each_seam_in_one_call(plan):
    calls = [(seam, call) for call, lifted in plan.items() for seam, _ in lifted]
    return len({seam for seam, _ in calls}) == len(set(calls))


swaps = st.dictionaries(
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 60)), max_size=3),
    max_size=4,
).filter(_crosses_each_seam_in_one_call)


@given(swaps)
@hypothesis_settings(deadline=None, max_examples=60)
def test_no_coin_is_lost_however_coins_change_places_across_the_seams(plan):
    """Each move lifts a coin from just below a seam to just above it, between two calls.

    A seam is crossed once: a coin that another one pushes back while its page is read again is
    left to the next run.
    """
    moves = {
        call: [(f"coin-{seam * SIZE + depth}", seam * SIZE - depth) for seam, depth in lifted]
        for call, lifted in plan.items()
    }
    listed = MovingList(SIZE * 5 - 10, moves)
    pages = read(MemoryHttp(listed))
    assert set(found(pages)) == set(listed.ranked)


def test_the_simulated_vendors_rank_moves_lose_and_double_no_coin():
    config = SimulatorConfig(coins=900, coingecko_coins=700, moving=False)
    clock = FakeClock(start=datetime.now(UTC)).clock()
    with create_server(config) as server:
        http = RequestsHttpClient("coingecko", clock, gate=OpenGate(), limits=HttpLimits())
        url = f"{server.url}/api/v3"
        still = found(read(http, base_url=url))
        server.simulator.fail("coingecko", "rank_shift", page=2)
        pages = read(http, base_url=url)
        http.close()
    assert set(found(pages)) == set(still)
    assert len(still) == 700
    assert pages[-1].checkpoint["seams"]["reread"] == 1
