from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.orm import Session

from tasks.core.errors import ConflictError, NotFoundError
from tasks.store import consensus, decisions, linking, reopening
from tasks.store.audit import Actor
from tasks.store.tables import News, NewsAsset
from tests.support.market import POLICIES, asset, load, partition, quote

pytestmark = pytest.mark.integration

_UNI = quote("uniswap", "uni", "Uniswap", "7", cap="500")
_PAPRIKA_UNI = quote("uni-uniswap", "UNI", "Uniswap", "7.01", cap="500")

_ANN = Actor("ann")
_EMPTY_DIGESTS = {"guid_hash": b"", "digest": b""}


def _moon(external_id, **fields):
    return quote(external_id, "MOON", "Moon", "1", **fields)


def _settle(session):
    session.execute(text("update asset_links set settles_at = now() - interval '1 hour'"))


def _statuses(session):
    rows = session.execute(text("select external_id, status from asset_links"))
    return {row.external_id: row.status for row in rows}


def test_the_same_coin_of_two_sources_is_one_asset_with_its_evidence(session):
    load(session, "coingecko", [_UNI])
    outcome = load(session, "coinpaprika", [_PAPRIKA_UNI])
    assert (outcome.linked, outcome.founded, outcome.unresolved) == (1, 0, 0)
    method, evidence = session.execute(
        text("select method, evidence from asset_links where external_id = 'uni-uniswap'")
    ).one()
    assert method == "symbol_name_slug"
    assert evidence["twin"]["external_id"] == "uniswap"
    assert evidence["twin"]["price_ratio"] == 1.001


def test_a_second_load_of_known_items_changes_nothing(session):
    load(session, "coingecko", [_UNI])
    before = partition(session)
    outcome = load(session, "coingecko", [_UNI], [_UNI])
    assert (outcome.linked, outcome.moved, outcome.changed_assets) == (0, 0, frozenset())
    assert partition(session) == before


_UPDATES = text("select n_tup_upd from pg_stat_xact_user_tables where relname = 'assets'")
_UNSURE = text("select count(*) from assets where price_usd is null or confidence < 0.6")


def _found(session, ages):
    """Load as many new items with prices of these ages; return how many assets are written anew."""
    before = session.scalar(_UPDATES)
    quotes = [quote(f"c{n}", f"S{n}", f"Coin {n}", age=age) for n, age in enumerate(ages)]
    assert load(session, "coingecko", quotes).founded == len(ages)
    return session.scalar(_UPDATES) - before


def test_an_asset_with_a_fresh_price_is_founded_as_it_is_published(session):
    assert _found(session, [1] * linking.MANY) == 0
    assert session.scalar(_UNSURE) == 0


def test_an_asset_with_a_stale_price_is_not_published_as_it_was_founded(session):
    assert _found(session, [1, 10**7] * (linking.MANY // 2)) == linking.MANY // 2
    assert session.scalar(_UNSURE) == linking.MANY // 2


def test_an_item_seen_twice_in_a_batch_is_one(session):
    assert load(session, "coingecko", [_UNI], [_UNI._replace(name="UNISWAP")]).linked == 1


def test_an_item_that_moves_takes_its_observations_along_and_is_written_down(session):
    twin, rival = _moon("moon-moon"), _moon("moon")
    load(session, "coingecko", [_moon("moon-2")])
    load(session, "coinpaprika", [twin])
    former = asset(session, "coinpaprika", "moon-moon").asset_id
    assert load(session, "coingecko", [rival]).moved == 1
    found = asset(session, "coinpaprika", "moon-moon").asset_id
    assert found == asset(session, "coingecko", "moon").asset_id != former
    observed = "select asset_id from quotes where external_id = 'moon-moon' union all "
    observed += "select asset_id from quote_history where external_id = 'moon-moon'"
    assert session.scalars(text(observed)).all() == [found, found]
    assert asset(session, "coingecko", "moon-2").sources == ["coingecko"]
    actions = session.scalars(text("select action || ' ' || subject from audit_log")).all()
    assert actions == ["asset_link.moved coinpaprika/moon-moon"]


def test_an_asset_that_loses_an_item_forgets_what_it_published_with_it(session):
    load(session, "coinpaprika", [quote("x-y", "XX", "Why", "1", rank=1, contracts="solana=a")])
    load(session, "coingecko", [quote("y-2", "XX", "Y two", "700", contracts="solana=a")])
    assert len(partition(session)) == 1
    load(session, "coingecko", [quote("y-3", "XX", "Y three", "700", contracts="solana=a")])
    assert asset(session, "coingecko", "y-2").price_usd == 700
    assert asset(session, "coingecko", "y-2").rank is None
    assert asset(session, "coinpaprika", "x-y").wire_id == "XX"


def test_assets_that_turn_out_to_be_one_are_joined_and_their_news_follow(session):
    load(session, "csv", [quote("X", "X", "Something", "7", contracts="ethereum=0x1")])
    load(session, "coinpaprika", [_PAPRIKA_UNI])
    former = asset(session, "coinpaprika", "uni-uniswap").asset_id
    news_id = session.scalars(
        insert(News).returning(News.news_id),
        [dict.fromkeys(("source", "external_id", "feed", "title"), "n") | _EMPTY_DIGESTS],
    ).one()
    mention = {"news_id": news_id, "asset_id": former, "score": 1, "mention": "UNI"}
    session.execute(insert(NewsAsset), [mention])
    load(session, "coingecko", [_UNI._replace(contracts="ethereum=0x1")])
    found = asset(session, "coingecko", "uniswap")
    assert found.sources == ["coingecko", "coinpaprika", "csv"]
    assert (found.slug_id, found.wire_id) == ("UNI~uniswap", "UNI")
    assert len(partition(session)) == 1
    assert session.scalars(select(NewsAsset.asset_id)).all() == [found.asset_id]


def test_the_ticker_of_an_asset_that_was_joined_to_another_goes_to_the_next(session):
    load(session, "coinpaprika", [quote("x-y", "XX", "Why", "7", cap="9", contracts="solana=a")])
    load(session, "csv", [quote("other", "XX", "Something else", "900", cap="1")])
    assert asset(session, "coinpaprika", "x-y").wire_id == "XX"
    load(session, "coingecko", [quote("y", "YY", "Why not", "7", contracts="solana=a")])
    assert set(partition(session)) == {"XX", "YY"}
    assert asset(session, "csv", "other").wire_id == "XX"


def test_a_settled_item_stays_when_a_better_twin_arrives(session):
    load(session, "coingecko", [_moon("moon-2")])
    load(session, "coinpaprika", [_moon("moon-moon")])
    former = asset(session, "coinpaprika", "moon-moon").asset_id
    _settle(session)
    assert load(session, "coingecko", [_moon("moon")]).moved == 0
    assert asset(session, "coinpaprika", "moon-moon").asset_id == former


def test_a_newcomer_is_compared_with_the_newest_price_of_a_settled_item(session):
    load(session, "coingecko", [_moon("moon-a", age=86_400 * 40)])
    _settle(session)
    load(session, "coingecko", [quote("moon-a", "MOON", "Moon", "900")])
    load(session, "coinpaprika", [_moon("moon-moon")])
    assert asset(session, "coingecko", "moon-a").asset_id != (
        asset(session, "coinpaprika", "moon-moon").asset_id
    )
    assert _statuses(session)["moon-moon"] == "unresolved"


def test_a_renamed_and_reticked_item_keeps_its_asset_and_its_id(session):
    load(session, "coingecko", [quote("frax-share", "fxs", "Frax Share")])
    before = asset(session, "coingecko", "frax-share")
    load(session, "coingecko", [quote("frax-share", "frax", "Frax (prev. FXS)", "2")])
    after = asset(session, "coingecko", "frax-share")
    assert (after.asset_id, after.slug_id) == (before.asset_id, "FXS~frax-share")
    assert (after.ticker, after.name, after.wire_id) == ("FRAX", "Frax (prev. FXS)", "FRAX")


def test_the_largest_asset_of_a_ticker_owns_it(session):
    load(session, "coingecko", [quote("unicorn", "UNI", "Unicorn", cap="5", rank=1), _UNI])
    assert asset(session, "coingecko", "uniswap").wire_id == "UNI"
    assert asset(session, "coingecko", "unicorn").wire_id == "UNI~unicorn"


def test_the_first_source_names_the_asset(session):
    load(session, "csv", [quote("UNI", "UNI", "uniswap token uni", "7")])
    load(session, "coingecko", [_UNI])
    assert asset(session, "csv", "UNI").name == "Uniswap"


@pytest.mark.parametrize(("cap", "owner"), [("900", "uniswap"), ("1100", "unicorn")])
def test_a_settled_owner_gives_way_only_to_a_clearly_larger_asset(session, cap, owner):
    load(session, "coingecko", [_UNI])
    session.execute(text("update assets set owner_since = now() - interval '30 days'"))
    load(session, "coingecko", [quote("unicorn", "UNI", "Unicorn", cap=cap)])
    assert asset(session, "coingecko", owner).wire_id == "UNI"


def test_the_ticker_an_asset_leaves_goes_to_the_next(session):
    load(session, "coingecko", [_UNI, quote("unicorn", "UNI", "Unicorn", cap="5")])
    load(session, "coingecko", [_UNI._replace(symbol="swap", price_usd=8)])
    assert asset(session, "coingecko", "unicorn").wire_id == "UNI"
    assert asset(session, "coingecko", "uniswap").wire_id == "SWAP"


def _decide(session, asset_id, external_id="moon-moon"):
    item = ("coinpaprika", external_id)
    return decisions.decide(session, item, asset_id, actor=_ANN).changed


def test_an_operators_decision_outlives_the_arrival_of_a_better_twin(session):
    load(session, "coingecko", [quote("luna", "LUNA", "Terra", "3")])
    load(session, "coinpaprika", [_moon("moon-moon")])
    target = asset(session, "coingecko", "luna").asset_id
    changed = _decide(session, target)
    consensus.refresh(session, asset_ids=changed, policies=POLICIES)
    assert asset(session, "coinpaprika", "moon-moon").sources == ["coingecko", "coinpaprika"]
    load(session, "coingecko", [_moon("moon")])
    assert asset(session, "coinpaprika", "moon-moon").asset_id == target
    actions = session.scalars(text("select action from audit_log order by audit_id")).all()
    assert actions == ["asset_link.decided", "asset_link.moved"]


def test_a_decision_taken_back_leaves_the_item_to_the_evidence(session):
    load(session, "coingecko", [quote("luna", "LUNA", "Terra", "3"), _moon("moon")])
    load(session, "coinpaprika", [_moon("moon-moon")])
    before = partition(session)
    _decide(session, asset(session, "coingecko", "luna").asset_id)
    item = ("coinpaprika", "moon-moon")
    changed = decisions.release(session, item, actor=_ANN).changed
    consensus.refresh(session, asset_ids=changed, policies=POLICIES)
    assert partition(session) == before
    with pytest.raises(ConflictError):
        decisions.release(session, item, actor=_ANN)


def test_the_item_that_named_an_asset_gets_another_id_when_it_leaves(session):
    load(session, "coinpaprika", [_moon("moon-moon")])
    load(session, "csv", [quote("LUNA", "LUNA", "Terra", "3")])
    target = asset(session, "coinpaprika", "moon-moon").asset_id
    decisions.decide(session, ("csv", "LUNA"), target, actor=_ANN)
    other = quote("luna", "LUNA", "Terra", "3")
    load(session, "coingecko", [other])
    _decide(session, asset(session, "coingecko", "luna").asset_id)
    decisions.release(session, ("coinpaprika", "moon-moon"), actor=_ANN)
    slugs = session.scalars(text("select slug_id from assets")).all()
    assert len(slugs) == len(set(slugs)) == 2
    assert "MOON~moon-moon.coinpaprika" in slugs


def test_an_item_names_no_second_asset_by_the_id_it_left_behind(session):
    load(session, "coingecko", [_moon("moon")])
    load(session, "csv", [quote("LUNA", "LUNA", "Terra", "3")])
    item, kept = ("coingecko", "moon"), asset(session, "coingecko", "moon").asset_id
    decisions.decide(session, ("csv", "LUNA"), kept, actor=_ANN)
    decisions.decide(session, item, None, actor=_ANN)
    decisions.release(session, item, actor=_ANN)
    numbered = asset(session, "coingecko", "moon").slug_id
    assert numbered.startswith("MOON~moon.")
    load(session, "coinpaprika", [_moon("moon-moon")])
    assert asset(session, "coinpaprika", "moon-moon").slug_id == numbered
    assert asset(session, "csv", "LUNA").slug_id == "MOON~moon"


def test_an_asset_in_which_others_are_left_is_not_taken_for_removed(session):
    load(session, "coingecko", [quote("luna", "LUNA", "Terra", "3"), _moon("moon")])
    load(session, "coinpaprika", [_moon("moon-moon")])
    luna = asset(session, "coingecko", "luna").asset_id
    _decide(session, luna)
    outcome = reopening.reopen(session, [("coinpaprika", "moon-moon")])
    assert outcome.closed_assets == frozenset()
    assert luna in outcome.changed_assets


def test_only_what_exists_can_be_decided(session):
    load(session, "coinpaprika", [_moon("moon-moon")])
    with pytest.raises(NotFoundError):
        _decide(session, 10**9)
    with pytest.raises(NotFoundError):
        _decide(session, asset(session, "coinpaprika", "moon-moon").asset_id, "never-seen")


def test_two_sources_loaded_at_once_found_one_asset_for_one_coin(database_url):
    gecko = [quote(f"coin-{n}", f"C{n}", f"Coin {n}", "2", cap=str(n)) for n in range(50)]
    paprika = [quote(f"c{n}-coin-{n}", f"C{n}", f"Coin {n}", "2") for n in range(50)]
    engine = create_engine(database_url)
    start = Barrier(2)

    def _load(source, quotes):
        for turn in (quotes, quotes[::-1]):
            start.wait()
            with Session(engine) as session, session.begin():
                load(session, source, [item._replace(volume_24h_usd=1) for item in turn])

    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(_load, "coingecko", gecko), pool.submit(_load, "coinpaprika", paprika)]
        for job in jobs:
            job.result()
    with Session(engine) as session:
        found = partition(session)
    engine.dispose()
    assert set(found) == {f"C{n}" for n in range(50)}
    assert all(len(items) == 2 for items in found.values())
