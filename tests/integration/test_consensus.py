from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tasks.store import consensus, consensus_rules
from tests.support.market import POLICIES, SourcePolicy, asset, load, quote, uses

pytestmark = pytest.mark.integration

IN_2024 = datetime(2024, 5, 1, tzinfo=UTC)
_IDS = {"coingecko": "bitcoin", "coinpaprika": "btc-bitcoin"}
_FOUR = POLICIES | {"vendor": SourcePolicy(fresh_for_s=3600, precedence=40)}


def _bitcoin(session, price, *, source="coingecko", **fields):
    external_id = _IDS.get(source, "BTC")
    loaded = quote(external_id, "BTC", "Bitcoin", price, **fields)
    load(session, source, [loaded], policies=_FOUR)
    return asset(session, source, external_id)


def _reason(session, source):
    return session.scalar(
        text("select use_reason from quotes where source = :source"), {"source": source}
    )


def _used(session):
    return {source for (source, _), use in uses(session).items() if use == "used"}


def test_two_fresh_prices_give_their_midpoint_and_an_old_file_changes_nothing(session):
    _bitcoin(session, "65000")
    _bitcoin(session, "65010", source="coinpaprika")
    found = _bitcoin(session, "45000.50", source="csv", at=IN_2024)
    assert str(found.price_usd) == "65005"
    assert found.sources == ["coingecko", "coinpaprika", "csv"]
    assert found.sources_used == ["coingecko", "coinpaprika"]
    assert uses(session)["csv", "BTC"] == "stale"
    assert found.wire_id == "BTC"
    assert (found.source, found.coin_id) == ("coingecko", "bitcoin")


def test_an_old_file_that_came_first_gives_way_to_a_fresh_price(session):
    stale = _bitcoin(session, "45000.50", source="csv", at=IN_2024)
    assert str(stale.price_usd) == "45000.50"
    assert stale.confidence == Decimal("0.18")
    found = _bitcoin(session, "65000")
    assert (found.price_usd, found.source, found.coin_id) == (65000, "coingecko", "bitcoin")
    assert found.confidence == Decimal("0.6")


def test_when_all_is_stale_the_newest_stands_with_low_confidence(session):
    _bitcoin(session, "45000", source="csv", at=IN_2024)
    found = _bitcoin(session, "64000", age=90_000)
    assert (found.price_usd, found.sources_used) == (64000, ["coingecko"])
    assert found.confidence == Decimal("0.18")
    assert _reason(session, "coingecko") == "Nothing fresh is known; the newest observation stands."


def test_one_of_three_at_ten_times_the_price_is_an_outlier(session):
    _bitcoin(session, "65000")
    _bitcoin(session, "65010", source="coinpaprika")
    found = _bitcoin(session, "650000", source="csv")
    assert found.price_usd == 65005
    assert uses(session)["csv", "BTC"] == "outlier"
    assert "5 %" in _reason(session, "csv")


@pytest.mark.parametrize(("price", "use"), [("104", "outlier"), ("102", "used")])
def test_an_outlier_counts_again_only_below_half_the_threshold(session, price, use):
    _bitcoin(session, "100")
    _bitcoin(session, "100", source="coinpaprika")
    _bitcoin(session, "1000", source="csv")
    _bitcoin(session, price, source="csv")
    assert uses(session)["csv", "BTC"] == use


def test_what_never_was_an_outlier_may_differ_by_the_whole_threshold(session):
    _bitcoin(session, "100")
    _bitcoin(session, "100", source="coinpaprika")
    assert _bitcoin(session, "104", source="csv").sources_used == [
        "coingecko",
        "coinpaprika",
        "csv",
    ]


def test_two_that_disagree_are_both_published_with_low_confidence(session):
    agreeing = _bitcoin(session, "100")
    found = _bitcoin(session, "120", source="coinpaprika")
    assert found.price_usd == 110
    assert _used(session) == {"coingecko", "coinpaprika"}
    assert found.confidence < Decimal("0.4") < agreeing.confidence
    assert found.price_spread_pct == Decimal("18.1818")
    assert "disagree" in _reason(session, "coingecko")


def test_four_that_fall_into_two_camps_are_not_thrown_out_altogether(session):
    _bitcoin(session, "100")
    _bitcoin(session, "101", source="coinpaprika")
    _bitcoin(session, "200", source="csv")
    found = _bitcoin(session, "202", source="vendor")
    assert len(found.sources_used) == 4
    assert found.price_usd == Decimal("150.5")
    assert found.confidence < Decimal("0.4")


def test_a_jump_of_a_single_source_is_held_until_it_says_so_again_later(session):
    _bitcoin(session, "100", age=600)
    held = _bitcoin(session, "10100", age=300)
    assert (held.price_usd, held.sources_used) == (100, ["coingecko"])
    assert held.confidence == Decimal("0.2")
    assert uses(session)["coingecko", "bitcoin"] == "held"
    again = _bitcoin(session, "10200", age=60)
    assert (again.price_usd, uses(session)["coingecko", "bitcoin"]) == (10200, "used")


def test_a_source_that_joins_at_another_level_disagrees_but_did_not_jump(session):
    _bitcoin(session, None)
    _bitcoin(session, "100", source="coinpaprika")
    session.execute(text("update assets set sources = '{coinpaprika}'"))
    found = _bitcoin(session, "20000")
    assert (found.price_usd, found.sources_used) == (10050, ["coingecko", "coinpaprika"])
    assert found.confidence < Decimal("0.4")


def test_a_held_price_stays_held_while_nothing_new_is_said(session):
    at = datetime.now(UTC)
    _bitcoin(session, "100", age=600)
    _bitcoin(session, "10100", at=at)
    for _ in range(2):
        found = _bitcoin(session, "10100", at=at, volume=7)
    assert (found.price_usd, uses(session)["coingecko", "bitcoin"]) == (100, "held")


def test_a_held_jump_that_goes_back_is_forgotten(session):
    _bitcoin(session, "100", age=600)
    _bitcoin(session, "0.5", age=500)
    assert _bitcoin(session, "101", age=400).price_usd == 101
    assert _bitcoin(session, "0.5", age=300).price_usd == 101


def test_a_second_source_confirms_a_jump(session):
    _bitcoin(session, "100", age=600)
    _bitcoin(session, "10100", age=300)
    found = _bitcoin(session, "10110", source="coinpaprika")
    assert found.price_usd == 10105
    assert _used(session) == {"coingecko", "coinpaprika"}


def test_a_second_source_at_the_old_level_keeps_a_jump_held_however_often_it_is_said(session):
    _bitcoin(session, "100", age=600)
    _bitcoin(session, "101", source="coinpaprika")
    for age in (300, 200, 100):
        found = _bitcoin(session, "20000", age=age)
    assert (found.price_usd, found.sources_used) == (101, ["coinpaprika"])
    assert uses(session)["coingecko", "bitcoin"] == "held"


def test_two_that_are_far_apart_disagree_however_often_it_is_decided(session):
    at = datetime.now(UTC)
    _bitcoin(session, "1", at=at)
    found = _bitcoin(session, "700", source="coinpaprika", at=at)
    for _ in range(2):
        assert (found.price_usd, _used(session)) == (
            Decimal("350.5"),
            {"coingecko", "coinpaprika"},
        )
        consensus.refresh(session, asset_ids=[found.asset_id], policies=_FOUR)
        found = _bitcoin(session, "1.0", at=at)


def test_a_jump_that_was_confirmed_stays_so_however_often_it_is_decided(session):
    _bitcoin(session, "100", age=600)
    _bitcoin(session, "10100", age=300)
    found = _bitcoin(session, "10200", age=60)
    consensus.refresh(session, asset_ids=[found.asset_id], policies=_FOUR)
    assert uses(session)["coingecko", "bitcoin"] == "used"


def test_a_fresh_price_is_not_held_against_a_published_one_of_last_year(session):
    _bitcoin(session, "1", source="csv", at=IN_2024)
    assert _bitcoin(session, "5000").price_usd == 5000


def test_a_price_from_the_future_is_not_believed(session):
    _bitcoin(session, "100")
    found = _bitcoin(session, "103", source="coinpaprika", age=-7200)
    assert found.price_usd == 100
    assert _reason(session, "coinpaprika") == "Its timestamp lies in the future."


@pytest.mark.parametrize(("price", "use"), [(None, "unpriced"), ("0", "unpriced")])
def test_no_price_and_a_price_of_zero_do_not_touch_a_known_price(session, price, use):
    _bitcoin(session, "100")
    found = _bitcoin(session, price, source="coinpaprika", cap="7")
    assert (found.price_usd, found.sources_used) == (100, ["coingecko"])
    assert uses(session)["coinpaprika", "btc-bitcoin"] == use
    assert found.market_cap_usd == 7


def test_zero_is_published_where_nobody_knows_better_and_null_stays_null(session):
    assert _bitcoin(session, "0.0").price_usd == 0
    found = _bitcoin(session, None)
    assert (found.price_usd, found.confidence) == (None, None)


def test_figures_beside_the_price_come_from_the_first_source_that_knows_them(session):
    _bitcoin(session, "100", source="coinpaprika", cap="5", rank=9, change=Decimal("1.5"))
    found = _bitcoin(session, "100.2", rank=1)
    assert (found.rank, found.market_cap_usd) == (1, 5)
    assert found.percent_change_24h == Decimal("1.5")


def test_a_source_that_is_no_longer_configured_is_stale(session):
    _bitcoin(session, "100")
    load(session, "gone", [quote("bitcoin", "BTC", "Bitcoin", "90")], policies=_FOUR)
    found = asset(session, "gone", "bitcoin")
    assert (found.price_usd, found.sources) == (100, ["coingecko", "gone"])
    assert _reason(session, "gone") == "Its source is not configured."


def test_an_asset_that_did_not_change_keeps_its_updated_at(session):
    _bitcoin(session, "100", age=60)
    session.execute(
        text("update assets set updated_at = '2020-01-01Z', ingested_at = '2020-01-01Z'")
    )
    confirmed = _bitcoin(session, "100")
    assert confirmed.updated_at.year == 2020
    assert confirmed.ingested_at.year > 2020
    assert _bitcoin(session, "100.1").updated_at.year > 2020


_PUBLISHED = text(
    "select price_usd, sources, sources_used, price_spread_pct, confidence, source, coin_id, rank,"
    " observed_at, ingested_at from assets order by asset_id"
)
_MARKED = text("select use, use_reason, held_price_usd, held_at from quotes order by external_id")


def _decided(session):
    return [session.execute(statement).all() for statement in (_PUBLISHED, _MARKED)]


_AGES = st.sampled_from([-7200, -60, 0, 60, 3599, 3601, 90_000, 10**8])
_PRICES = st.sampled_from([None, "0", "1e-12", "1", "1.5", "150", "1e6"])
_SAID = st.lists(st.tuples(_AGES, _PRICES), min_size=1, max_size=3)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(coins=st.lists(_SAID, min_size=1, max_size=4))
def test_an_asset_with_one_observation_is_decided_about_as_one_with_several(session, coins):
    with session.begin_nested() as savepoint:
        for said in range(3):
            for number, coin in enumerate(coins):
                age, price = coin[min(said, len(coin) - 1)]
                coin_of = quote(f"coin-{number}", f"C{number}", f"Coin {number}", price, age=age)
                load(session, "coingecko", [coin_of])
        alone = _decided(session)
        ids = list(session.scalars(text("select asset_id from assets")))
        consensus.weigh(session, consensus_rules.SEVERAL, ids, POLICIES)
        assert _decided(session) == alone
        savepoint.rollback()


_MONEY = st.decimals(min_value="1e-18", max_value="1e9", places=18)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(prices=st.lists(_MONEY.filter(bool), min_size=1, max_size=4), near=st.booleans())
def test_a_published_price_is_the_exact_median_of_what_was_used(session, prices, near):
    if near:
        prices = [prices[0] * (1 + Decimal(n) / 100) for n in range(len(prices))]
    with session.begin_nested() as savepoint:
        at = datetime.now(UTC)
        for source in _FOUR:
            _bitcoin(session, None, source=source, at=at)
        for source, price in zip(_FOUR, prices, strict=False):
            found = _bitcoin(session, price, source=source, at=at)
        rows = session.execute(text("select price_usd from quotes where use = 'used' order by 1"))
        used = list(rows.scalars())
        savepoint.rollback()
    if found.confidence != Decimal("0.2") or used:
        middle = [used[(len(used) - 1) // 2], used[len(used) // 2]]
        assert found.price_usd * 2 == sum(middle)
        assert not near or len(used) == len(prices)
