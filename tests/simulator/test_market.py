from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.clock import Clock
from tasks.simulator.chance import Chance, Walk
from tasks.simulator.coins import coins
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.market import VENDORS, Market
from tasks.simulator.simulator import Simulator
from tests.simulator.conftest import SMALL

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class HandClock:
    def __init__(self):
        self.seconds = 0.0

    def clock(self) -> Clock:
        return Clock(
            now=lambda: NOON + timedelta(seconds=self.seconds),
            monotonic=lambda: self.seconds,
            sleep=lambda seconds: None,
        )


@pytest.fixture(scope="module")
def full() -> Market:
    return Market(SimulatorConfig(), HandClock().clock())


@pytest.fixture
def hand() -> HandClock:
    return HandClock()


def markets(simulator, page=1):
    query = {"vs_currency": "usd", "per_page": "250", "page": str(page)}
    return simulator.handle("/api/v3/coins/markets", query, {}).body


def test_the_same_seed_and_moment_make_the_same_bytes(hand):
    one, other = (Simulator(SMALL, hand.clock()) for _ in range(2))
    paths = ("/v1/tickers", "/v1/coins", "/feeds/wire", "/feeds/ledger", "/feeds/notes")
    assert markets(one) == markets(other)
    for path in paths:
        assert one.handle(path, {}, {}).body == other.handle(path, {}, {}).body


def test_another_seed_makes_another_market(hand):
    other = replace(SMALL, seed=8)
    assert markets(Simulator(SMALL, hand.clock())) != markets(Simulator(other, hand.clock()))


def test_a_larger_market_begins_with_the_smaller_one():
    assert list(islice(coins(3), 200)) == list(islice(coins(3), 400))[:200]


def test_the_default_market_is_as_large_as_promised(full):
    assert len(full.coins) >= 15_000
    assert {vendor: len(listed) for vendor, listed in full.listed.items()} == {
        "coingecko": 2_000,
        "coinpaprika": 2_500,
    }


@pytest.mark.parametrize("vendor", VENDORS)
def test_ids_of_a_vendor_are_unique(full, vendor):
    ids = [coin.label(vendor).external_id for coin in full.coins if coin.label(vendor)]
    assert len(ids) == len(set(ids))


def test_about_one_symbol_in_six_is_shared(full):
    for known in (full.known("coingecko"), full.listed["coingecko"]):
        symbols = Counter(coin.coingecko.symbol for coin in known)
        assert 0.12 < sum(n > 1 for n in symbols.values()) / len(symbols) < 0.21


def test_symbols_collide_inside_one_page(full):
    page = [sight.label.symbol for sight in full.board("coingecko", 0).sights[:250]]
    assert len(set(page)) < len(page)


def test_bitcoin_leads_and_lesser_coins_carry_its_ticker(full):
    for vendor in VENDORS:
        sights = full.board(vendor, 0).sights
        places = [i for i, s in enumerate(sights) if s.label.symbol.lower() == "btc"]
        assert places[0] == 0
        assert len(places) > 1


def test_every_kind_of_trap_is_there(full):
    symbols = {coin.coingecko.symbol for coin in full.known("coingecko")}
    names = {coin.coingecko.name for coin in full.known("coingecko")}
    assert {"nan", "null", "true", "inf", "n/a", "🔶"} <= symbols
    assert any("\u200b" in name for name in names)
    assert any(name.endswith("\u00a0") for name in names)
    assert {coin.kind for coin in full.coins} == {
        "known", "project", "copy", "joke", "namesake", "crowded", "odd",
    }  # fmt: skip
    assert any(not coin.priced for coin in full.listed["coingecko"])
    assert any(coin.stale_days for coin in full.listed["coingecko"])
    assert any(coin.coingecko is None for coin in full.listed["coinpaprika"])
    assert any(coin.coinpaprika is None for coin in full.listed["coingecko"])


def test_prices_span_the_range_of_the_real_ones(full):
    prices = [coin.price for coin in full.coins]
    assert 1e-12 < min(prices) < 1e-10
    assert 5e4 < max(prices) < 1e5


def test_the_vendors_nearly_agree_on_a_price(full):
    for coin in full.listed["coingecko"]:
        if coin.coinpaprika and coin.priced and coin.period == 1:
            here, there = (full.sight(vendor, coin, 5).price for vendor in VENDORS)
            assert abs(here / there - 1) < 0.003


def test_a_copy_follows_the_price_of_its_original(full):
    by_id = {coin.coingecko.external_id: coin for coin in full.known("coingecko")}
    weth, ether = by_id["weth"], by_id["ethereum"]
    assert full.price(weth, 900) / full.price(ether, 900) == pytest.approx(weth.price / ether.price)


def test_one_tick_changes_only_a_part_of_the_coins():
    market = Market(SMALL, HandClock().clock())
    before = market.board("coingecko", 0).sights
    market.timeline.advance(1)
    after = {s.coin.index: s for s in market.board("coingecko", 1).sights}
    same = [s for s in before if after[s.coin.index].price == s.price]
    renewed = [s for s in same if after[s.coin.index].updated_ms > s.updated_ms]
    assert 0.2 < len(same) / len(before) < 0.8
    assert renewed
    assert len(renewed) < len(same)


def test_every_coin_moves_on_every_tick_when_asked_for():
    market = Market(replace(SMALL, all_change=True), HandClock().clock())
    before = {s.coin.index: s for s in market.board("coingecko", 0).sights}
    market.timeline.advance(1)
    for sight in market.board("coingecko", 1).sights:
        assert sight.updated_ms > before[sight.coin.index].updated_ms
        assert sight.price is None or sight.price != before[sight.coin.index].price


def test_stamps_never_run_backwards_nor_into_the_future():
    market = Market(SMALL, HandClock().clock())
    for coin in market.listed["coingecko"][:100]:
        stamps = [market.sight("coingecko", coin, tick).updated_ms for tick in range(-30, 1)]
        assert stamps == sorted(stamps)
        assert stamps[-1] <= market.timeline.now_ms()


def test_ranks_move_over_time(full):
    then, now = ([s.coin.index for s in full.board("coingecko", t).sights] for t in (-288, 0))
    assert then != now
    assert set(then) == set(now)


def test_ticks_come_with_time(hand):
    simulator = Simulator(replace(SMALL, moving=True, tick_s=300), hand.clock())
    first = markets(simulator)
    hand.seconds = 299
    assert markets(simulator) == first
    hand.seconds = 300
    assert markets(simulator) != first
    assert simulator.state()["tick"] == 1


def test_a_tick_by_hand_does_not_wait(hand):
    simulator = Simulator(SMALL, hand.clock())
    first = markets(simulator)
    assert simulator.advance(3) == 3
    assert markets(simulator) != first


@given(salt=st.integers(0, 1 << 30), tick=st.integers(-(10**7), 10**7))
def test_the_walk_stays_within_its_reach(salt, tick):
    assert abs(_WALK.at(salt, tick)) <= _WALK.reach


@given(st.lists(st.integers(), min_size=1, max_size=4))
def test_chance_follows_from_its_keys_alone(keys):
    one, other = Chance(*keys), Chance(*keys)
    draws = [one.unit() for _ in range(5)]
    assert draws == [other.unit() for _ in range(5)]
    assert all(0 <= draw < 1 for draw in draws)


_WALK = Walk(1)
