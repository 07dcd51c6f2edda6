"""Loads, decisions and maps in any order: the tables agree, and an operator's word stands."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tasks.core.errors import ConflictError
from tasks.domain.id_maps import KnownId
from tasks.store import consensus, decisions, known_ids, links
from tasks.store.audit import Actor
from tests.support.market import POLICIES, load, quote

pytestmark = pytest.mark.integration

ANN = Actor("ann")
ITEMS = [
    ("coingecko", "uniswap"),
    ("coingecko", "uniswap-2"),
    ("coingecko", "dodo"),
    ("coinpaprika", "uni-uniswap"),
    ("coinpaprika", "uni-unicorn"),
    ("csv", "UNI"),
]
SYMBOLS = {"dodo": "DODO"}
NAMES = {"dodo": "DODO", "uni-unicorn": "Unicorn"}
_ITEM = st.sampled_from(ITEMS)
_STEPS = st.one_of(
    st.tuples(st.just("load"), st.lists(_ITEM, min_size=1, max_size=4, unique=True)),
    st.tuples(st.just("decide"), _ITEM, st.one_of(st.none(), _ITEM)),
    st.tuples(st.just("release"), _ITEM),
    st.tuples(st.just("map"), st.lists(st.sampled_from(ITEMS), max_size=4, unique=True)),
    st.tuples(st.just("settle")),
)
# Where an item's link, its quote and its history say different things.
TORN = """
    select l.source, l.external_id from asset_links l
    left join quotes q using (source, external_id)
    where q.asset_id is distinct from l.asset_id or exists (select from quote_history h
      where h.source = l.source and h.external_id = l.external_id and h.asset_id <> l.asset_id)
"""
EMPTY = """
    select asset_id from assets a
    where not exists (select from asset_links l where l.asset_id = a.asset_id)
"""
OWNERS = """
    select ticker from assets group by ticker having count(*) filter (where wire_id = ticker) <> 1
"""
SOURCES = """
    select a.asset_id from assets a where a.sources <> array(select distinct q.source from quotes q
      where q.asset_id = a.asset_id order by 1)
"""


@dataclass
class Desk:
    """An operator's desk beside the loads, and what the operator has said."""

    session: object
    said: dict = field(default_factory=dict)

    def do(self, name, *arguments):
        getattr(self, name)(*arguments)
        for item, asset in self.said.items():
            assert self.asset(item) == asset
        for statement in (TORN, EMPTY, OWNERS, SOURCES):
            assert self.session.execute(text(statement)).all() == [], statement

    def load(self, items):
        for source in dict.fromkeys(source for source, _ in items):
            quotes = [
                quote(name, SYMBOLS.get(name, "UNI"), NAMES.get(name, "Uniswap"), "7")
                for of, name in items
                if of == source
            ]
            load(self.session, source, quotes)

    def decide(self, item, twin):
        if self.asset(item) is None or (twin and self.asset(twin) is None):
            return
        target = self.asset(twin) if twin else None
        try:
            self._refresh(decisions.decide(self.session, item, target, actor=ANN))
        except ConflictError:
            assert self.said[item] not in {target} - {None}
        else:
            self.said[item] = self.asset(item)
            assert twin is None or self.asset(item) == target

    def release(self, item):
        if item in self.said:
            self.said.pop(item)
            self._refresh(decisions.release(self.session, item, actor=ANN))

    def map(self, items):
        links.lock(self.session)
        known = [KnownId(*item, "one") for item in items]
        self._refresh(known_ids.replace(self.session, known).decision)

    def settle(self):
        self.session.execute(text("update asset_links set settles_at = now() - interval '1 h'"))

    def asset(self, item):
        return self.session.scalar(
            text("select asset_id from asset_links where source = :source and external_id = :id"),
            {"source": item[0], "id": item[1]},
        )

    def _refresh(self, decision):
        consensus.refresh(self.session, asset_ids=decision.changed, policies=POLICIES)


@pytest.mark.timeout(90)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    first=st.lists(_ITEM, min_size=3, unique=True),
    steps=st.lists(_STEPS, min_size=3, max_size=12),
)
def test_the_tables_agree_and_an_operators_word_stands(session, first, steps):
    with session.begin_nested() as savepoint:
        desk = Desk(session)
        for step in [("load", first), *steps]:
            desk.do(*step)
        savepoint.rollback()
