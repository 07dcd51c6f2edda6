from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tasks.domain.id_maps import KnownId
from tasks.store import known_ids, linking
from tests.support.market import load, partition, quote

pytestmark = pytest.mark.integration

_AT = datetime.now(UTC)
_SYMBOLS = st.sampled_from(["UNI", "uni", "DODO", "ZRX", "N/A", "$$$", "🚀", "WETH"])
_NAMES = st.sampled_from(
    ["Uniswap", "UNISWAP", "DODO", "0x", "0x (Wormhole)", "Wrapped Ether", "Ether", "Moon [OLD]"]
)
_PRICES = st.sampled_from([None, "1", "1.01", "3", "50", "700"])
_RANKS = st.sampled_from([None, 1, 20, 400])
_CAPS = st.sampled_from([None, "10", "500"])
_CONTRACTS = st.sampled_from([None, None, None, "ethereum=0x1", "ethereum=0x1|solana=abc"])
_IDS = {
    "coingecko": ["uniswap", "uniswap-2", "dodo", "0x", "0x-wormhole", "weth", "a b"],
    "coinpaprika": ["uni-uniswap", "uni-uniswap-2", "dodo-dodo", "zrx-0x", "weth-weth", "x-"],
    "csv": ["UNI", "DODO", "ZRX", "UNI:Uniswap"],
}


@st.composite
def _items(draw):
    """Every item of a small universe full of collisions, as (source, quote)."""
    found = []
    for source, ids in _IDS.items():
        for external_id in draw(st.lists(st.sampled_from(ids), unique=True)):
            fields = {"rank": draw(_RANKS), "cap": draw(_CAPS), "contracts": draw(_CONTRACTS)}
            names = (draw(_SYMBOLS), draw(_NAMES), draw(_PRICES))
            found.append((source, quote(external_id, *names, at=_AT, **fields)))
    return found


def _batches(items, cuts):
    """Cut the items into batches of one source each, in their order."""
    batches = []
    for (source, item), cut in zip(items, cuts, strict=False):
        if not batches or cut or batches[-1][0] != source:
            batches.append((source, []))
        batches[-1][1].append(item)
    return batches


@st.composite
def _maps(draw):
    """A map of known ids over that universe: some of its ids, in rows of two or three."""
    columns = [draw(st.permutations(ids))[: draw(st.integers(0, 3))] for ids in _IDS.values()]
    rows = [
        [(source, ids[row]) for source, ids in zip(_IDS, columns, strict=True) if row < len(ids)]
        for row in range(max(map(len, columns)))
    ]
    return [KnownId(*item, str(n)) for n, row in enumerate(rows) if len(row) > 1 for item in row]


def _loaded(session, batches, known):
    with session.begin_nested() as savepoint:
        known_ids.replace(session, known)
        for source, quotes in batches:
            load(session, source, quotes)
        found = partition(session)
        savepoint.rollback()
    return found


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(items=_items(), known=st.one_of(st.just([]), _maps()), data=st.data())
def test_the_order_of_arrival_decides_nothing(session, items, known, data):
    shuffled = data.draw(st.permutations(items))
    cuts = data.draw(st.lists(st.booleans(), min_size=len(items), max_size=len(items)))
    by_source = _batches(sorted(items, key=lambda item: item[0]), [False] * len(items))
    found = _loaded(session, _batches(shuffled, cuts), known)
    assert found == _loaded(session, by_source, known)


_WRITTEN = text(
    """
    select l.source, l.external_id, l.method, l.confidence, l.status, l.evidence::text,
      l.identity_key, l.slug_id, l.symbol, l.name, l.rank, l.price_usd, l.observed_at, l.contracts,
      (select array_agg(key order by key) from unnest(l.keys) key), a.slug_id, a.wire_id, a.ticker,
      a.name, a.rank, a.price_usd, a.market_cap_usd, a.volume_24h_usd, a.percent_change_24h,
      a.source, a.coin_id, a.sources, a.sources_used, a.price_spread_pct, a.confidence,
      a.observed_at, a.ingested_at
    from asset_links l join assets a using (asset_id) order by l.source, l.external_id
    """
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(items=_items(), known=st.one_of(st.just([]), _maps()), data=st.data())
def test_one_statement_founds_as_weighing_does(session, items, known, data):
    cuts = data.draw(st.lists(st.booleans(), min_size=len(items), max_size=len(items)))
    batches = _batches(data.draw(st.permutations(items)), cuts)
    written = []
    for many in (1, 1_000):
        with session.begin_nested() as savepoint, pytest.MonkeyPatch.context() as patch:
            patch.setattr(linking, "MANY", many)
            known_ids.replace(session, known)
            for source, quotes in batches:
                load(session, source, quotes)
            written.append(session.execute(_WRITTEN).all())
            savepoint.rollback()
    assert written[0] == written[1]
