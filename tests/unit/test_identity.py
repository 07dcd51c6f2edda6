from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.domain import names
from tasks.domain.identity import LINK_FROM, ItemFacts, weigh
from tasks.domain.resolution import resolve

_AT = datetime(2026, 1, 1, tzinfo=UTC)


def _gecko(external_id, symbol, name, **fields):
    return ItemFacts("coingecko", external_id, symbol, name, **fields)


def _paprika(external_id, symbol, name, **fields):
    return ItemFacts("coinpaprika", external_id, symbol, name, **fields)


def _groups(*items):
    groups = resolve(items, precedence={"coingecko": 1, "coinpaprika": 2})
    return {frozenset(m.facts.external_id for m in group.members) for group in groups}


@pytest.mark.parametrize(
    ("symbol", "ticker"),
    [
        ("btc", "BTC"),
        (" eth\u00a0", "ETH"),
        ("$$$", "$$$"),
        ("🚀", "🚀"),
        ("N/A", "N-A"),
        ("nan", "NAN"),
        ("a~b", "A-B"),
        ("x y", "X-Y"),
        ("\u200bzks", "ZKS"),
        ("..", names.NAMELESS_TICKER),
        (" / ", names.NAMELESS_TICKER),
    ],
)
def test_a_ticker_is_upper_case_and_safe_in_a_path(symbol, ticker):
    assert names.ticker(symbol) == ticker


@given(st.text())
def test_any_symbol_gives_a_ticker_that_survives_a_url(symbol):
    ticker = names.ticker(symbol)
    assert ticker
    assert not set(ticker) & set("~/?#%\\ ")
    assert ticker not in {".", ".."}
    assert unquote(quote(ticker)) == ticker
    assert names.ticker(ticker) == ticker or len(ticker) >= names.MAX_TICKER


@given(st.lists(st.tuples(st.sampled_from(["coingecko", "csv", "x"]), st.text()), unique=True))
def test_no_two_items_give_the_same_slug(items):
    slugs = {names.slug(source, external_id) for source, external_id in items}
    assert len(slugs) == len(items)


def test_a_bridged_copy_does_not_take_the_link_of_the_original():
    zrx, copy = _gecko("0x", "ZRX", "0x"), _gecko("0x-wormhole", "ZRX", "0x (Wormhole)")
    assert _groups(copy, _paprika("zrx-0x", "ZRX", "0x")) == {
        frozenset({"0x-wormhole"}),
        frozenset({"zrx-0x"}),
    }
    assert frozenset({"0x", "zrx-0x"}) in _groups(zrx, copy, _paprika("zrx-0x", "ZRX", "0x"))


def test_coins_that_share_only_a_ticker_stay_apart():
    assert (
        len(_groups(_gecko("batcat", "btc", "batcat"), _paprika("btc-bitcoin", "BTC", "Bitcoin")))
        == 2
    )


def test_an_id_outlives_the_name_and_ticker_of_its_coin():
    renamed = _gecko("lto-network", "EQTY", "EQTY")
    assert len(_groups(renamed, _paprika("lto-lto-network", "LTO", "LTO Network"))) == 1


def test_namesakes_go_to_the_twin_whose_id_fits():
    groups = _groups(
        _gecko("jupiter", "jup", "Jupiter Project"),
        _gecko("jupiter-exchange-solana", "jup", "Jupiter"),
        _paprika("jup-jupiter", "JUP", "Jupiter"),
        _paprika("jup-jupiter-exchange-token", "JUP", "Jupiter Exchange Token"),
    )
    assert groups == {
        frozenset({"jupiter", "jup-jupiter"}),
        frozenset({"jupiter-exchange-solana", "jup-jupiter-exchange-token"}),
    }


def test_two_equally_good_twins_are_left_to_a_person():
    groups = resolve(
        [
            _gecko("moon-2", "MOON", "Moon"),
            _gecko("moon-3", "MOON", "Moon"),
            _paprika("moon-moon", "MOON", "Moon"),
        ],
        precedence={},
    )
    assert len(groups) == 3
    listed = {
        m.facts.external_id: [key for key, _ in m.candidates] for g in groups for m in g.members
    }
    assert listed["moon-moon"] == [("coingecko", "moon-2"), ("coingecko", "moon-3")]


@pytest.mark.parametrize(("price", "linked"), [("1.02", True), ("4", True), ("500", False)])
def test_namesakes_with_prices_far_apart_stay_apart(price, linked):
    one = _gecko("moon-a", "MOON", "Moon", price_usd=Decimal(1), observed_at=_AT)
    other = _paprika("moon-moon", "MOON", "Moon", price_usd=Decimal(price), observed_at=_AT)
    assert (len(_groups(one, other)) == 1) is linked


def test_prices_of_different_days_say_nothing():
    one = _gecko("moon-a", "MOON", "Moon", price_usd=Decimal(1), observed_at=_AT)
    later = _AT + timedelta(days=30)
    other = _paprika("moon-moon", "MOON", "Moon", price_usd=Decimal(500), observed_at=later)
    assert len(_groups(one, other)) == 1


def test_a_third_source_does_not_join_what_prices_keep_apart():
    one = _gecko("moon-a", "MOON", "Moon", price_usd=Decimal(1), observed_at=_AT)
    other = _paprika("moon-moon", "MOON", "Moon", price_usd=Decimal(500), observed_at=_AT)
    assert len(_groups(one, other, ItemFacts("csv", "MOON", "MOON", "Moon"))) >= 2
    assert not any(
        {"moon-a", "moon-moon"} <= group
        for group in _groups(one, other, ItemFacts("csv", "MOON", "MOON", "Moon"))
    )


def test_the_same_contract_outweighs_every_name_and_price():
    one = _gecko(
        "a",
        "AAA",
        "Alpha",
        contracts="ethereum=0x1|solana=x",
        price_usd=Decimal(1),
        observed_at=_AT,
    )
    other = _paprika(
        "b-b", "BBB", "Beta", contracts="ethereum=0x1", price_usd=Decimal(999), observed_at=_AT
    )
    assert len(_groups(one, other)) == 1


def test_an_entry_of_the_id_map_outweighs_a_contract():
    one = _gecko("a", "AAA", "Alpha", contracts="ethereum=0x1")
    wrong = _paprika("b-b", "BBB", "Beta", contracts="ethereum=0x1")
    known = _paprika("c-c", "CCC", "Gamma", known="alpha")
    mapped = _gecko("a", "AAA", "Alpha", contracts="ethereum=0x1", known="alpha")
    assert frozenset({"a", "b-b"}) in _groups(one, wrong, known)
    assert frozenset({"a", "c-c"}) in _groups(mapped, wrong, known)


def test_settled_items_stay_where_they_are_and_never_join_each_other():
    one = _gecko("bitcoin", "BTC", "Bitcoin", asset=1)
    other = _paprika("btc-bitcoin", "BTC", "Bitcoin", asset=2)
    assert len(_groups(one, other)) == 2
    groups = resolve([one, ItemFacts("csv", "BTC", "BTC", "Bitcoin")], precedence={})
    assert [group.asset for group in groups] == [1]


_FACTS = st.builds(
    ItemFacts,
    source=st.sampled_from(["coingecko", "coinpaprika", "csv"]),
    external_id=st.sampled_from(["uni", "uni-uniswap", "uniswap", "uniswap-2", "unicorn"]),
    symbol=st.sampled_from(["UNI", "uni", "UNIC"]),
    name=st.sampled_from(["Uniswap", "Unicorn", "Uniswap (Wormhole)"]),
    rank=st.sampled_from([None, 5, 900]),
    price_usd=st.sampled_from([None, Decimal(1), Decimal(90)]),
    observed_at=st.just(_AT),
)


@given(_FACTS, _FACTS)
def test_evidence_is_symmetric(one, other):
    assert weigh(one, other) == weigh(other, one)


@given(st.lists(_FACTS, max_size=4, unique_by=lambda item: item.key))
def test_groups_do_not_depend_on_the_order_and_hold_one_item_of_a_source(items):
    expected = _keys(items)
    assert all(_keys(order) == expected for order in permutations(items))
    assert all(len({source for source, _ in group}) == len(group) for group in expected)


def _keys(items):
    groups = resolve(items, precedence={})
    return {frozenset(member.facts.key for member in group.members) for group in groups}


def test_the_least_evidence_for_a_link_is_more_than_a_ticker():
    evidence = weigh(_gecko("a", "UNI", "Alpha"), _paprika("uni-b", "UNI", "Beta"))
    assert evidence.score < LINK_FROM
