"""The quarantine: what is kept of a bad item, and how it comes out again."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from sqlalchemy import text

from tasks.core.errors import ConflictError
from tasks.core.rules import RecordRules
from tasks.domain.records import Item, Rejection
from tasks.pipeline import drifts, quarantine
from tasks.pipeline.quarantine import Replayed
from tasks.sources.csv_file import CsvFiles
from tasks.store.audit import Actor
from tasks.store.rejections import Selection
from tests.support.engine import ScriptedConnector, coin, workbench
from tests.support.markets import ScriptedMarkets, market

pytestmark = pytest.mark.integration

OPERATOR = Actor("operator", "request-7")
EVERYTHING = Selection()
LATER = "2026-01-01T00:00:30.000Z"
COINS = [market(f"coin-{n}", n) for n in range(499)]
STRICT = RecordRules(max_price_usd=Decimal(1000))
BAD = market("dear", 5000)
ODD = b"\xff\x00"


@pytest.fixture
def source():
    return ScriptedMarkets([*COINS, BAD])


@pytest.fixture
def bench(settings, source):
    with workbench(ruled(settings, STRICT), source) as bench:
        yield bench


def ruled(settings, rules, mode="evolve", name="coingecko"):
    source = replace(settings.sources[name], rules=rules, contract_mode=mode)
    return replace(settings, sources={**settings.sources, name: source})


def mend(bench, settings):
    """The operator gives up the rule."""
    bench.dependencies = replace(bench.dependencies, settings=settings)


def replay(bench, selection=EVERYTHING):
    return quarantine.replay(bench.dependencies, selection, actor=OPERATOR)


def tables(bench):
    return [
        bench.rows(f"select * from {name} order by 1, 2, 3")  # noqa: S608 - names are ours
        for name in ("quotes", "quote_history", "rejections", "etl_runs", "audit_log", "assets")
    ]


def test_one_bad_item_of_500_is_kept_with_all_that_is_known_of_it(bench):
    run = bench.one("select * from etl_runs where run_id = :id", id=bench.run())
    assert (run.status, run.records_processed, run.records_failed) == ("partial", 499, 1)
    row = bench.one("select * from rejections")
    assert (row.external_id, row.field, row.rule, row.run_id) == (
        "dear",
        "price_usd",
        "range",
        run.run_id,
    )
    assert (row.reason, row.state) == ("price_usd is above 1000", "open")
    assert '"current_price":5000' in row.payload


def test_a_replay_loads_once_what_the_rules_let_through_now(bench, settings):
    bench.run()
    mend(bench, settings)
    (done,) = replay(bench)
    assert (done.loaded, done.superseded, done.rejected) == (1, 0, 0)
    quote = bench.one("select * from quotes where external_id = 'dear'")
    assert (quote.price_usd, quote.run_id) == (5000, done.run_id)
    assert bench.one("select price_usd from assets where name = 'Dear'").price_usd == 5000
    run = bench.one("select * from etl_runs where run_id = :id", id=done.run_id)
    assert (run.trigger, run.status, run.records_processed) == ("replay", "success", 1)
    assert run.checkpoint_before == run.checkpoint_after == {"pages": 1}
    row = bench.one("select * from rejections")
    assert (row.state, row.replay_run_id) == ("replayed", done.run_id)
    entry = bench.one("select * from audit_log")
    assert (entry.actor, entry.action) == ("operator", "quarantine.replay")
    assert entry.detail["ids"] == [row.rejection_id]


def test_replaying_twice_changes_nothing(bench, settings):
    bench.run()
    mend(bench, settings)
    replay(bench)
    before = tables(bench)
    assert replay(bench) == []
    assert tables(bench) == before


def test_what_the_rules_still_refuse_stays_and_makes_no_run(bench):
    bench.run()
    assert replay(bench) == [Replayed("coingecko", None, loaded=0, superseded=0, rejected=1)]
    assert bench.one("select state from rejections").state == "open"
    assert bench.one("select count(*) as n from etl_runs").n == 1


def test_only_what_is_selected_is_replayed(bench, source, settings):
    source.pages = [[market("dear", 5000), market("dearer", 6000)]]
    bench.run()
    mend(bench, settings)
    chosen = bench.one("select rejection_id from rejections where external_id = 'dearer'")
    (done,) = replay(bench, Selection(ids=[chosen.rejection_id], source="coingecko", rule="range"))
    assert done.loaded == 1
    assert replay(bench, Selection(rule="date")) == []
    assert bench.one("select external_id from quotes").external_id == "dearer"


@pytest.mark.parametrize("at", [BAD["last_updated"], LATER])
def test_an_item_that_something_newer_is_known_of_overwrites_nothing(bench, source, settings, at):
    bench.run()
    source.pages = [[market("dear", 7, last_updated=at)]]
    bench.run()
    mend(bench, settings)
    (done,) = replay(bench)
    assert (done.loaded, done.superseded) == (0, 1)
    assert bench.one("select price_usd from quotes where external_id = 'dear'").price_usd == 7
    assert bench.one("select state from rejections").state == "replayed"


def test_an_item_refused_for_two_reasons_is_loaded_once(bench, settings):
    bench.run()
    bench.dependencies = replace(
        bench.dependencies, settings=ruled(settings, RecordRules(max_name_chars=2))
    )
    bench.run()
    assert bench.one("select count(*) as n from rejections where external_id = 'dear'").n == 2
    mend(bench, settings)
    replay(bench, Selection(rule="range"))
    states = bench.rows("select distinct state from rejections where external_id = 'dear'")
    assert [row.state for row in states] == ["replayed"]


def test_a_source_that_is_not_enabled_any_more_is_no_hindrance_to_others(bench, settings):
    bench.run()
    mend(bench, settings)
    others = {"coinpaprika": ScriptedConnector("coinpaprika")}
    bench.dependencies = replace(bench.dependencies, connectors=others)
    with pytest.raises(ConflictError, match="'coingecko' is not enabled"):
        replay(bench)
    assert bench.one("select state from rejections").state == "open"


def test_of_several_sources_those_that_are_at_rest_are_replayed(settings, source):
    other = ScriptedConnector("coinpaprika", pages=[[coin("alpha", "-1")]])
    with workbench(ruled(settings, STRICT), source, other) as bench:
        bench.run()
        bench.run("coinpaprika")
        mend(bench, settings)
        active = bench.start()
        (stood_back, tried) = replay(bench)
        assert stood_back.conflict.context["active_run_id"] == str(active)
        assert (tried.source, tried.rejected, tried.conflict) == ("coinpaprika", 1, None)


def test_a_source_that_works_is_not_replayed_meanwhile(bench, settings):
    bench.run()
    mend(bench, settings)
    bench.start()
    with pytest.raises(ConflictError, match="active run"):
        replay(bench)
    assert bench.one("select state from rejections").state == "open"


def test_a_page_that_is_gone_with_its_age_leaves_an_item_that_can_be_replayed(bench, settings):
    bench.run()
    with bench.dependencies.transaction() as session:
        session.execute(text("delete from raw_pages"))
    mend(bench, settings)
    (done,) = replay(bench)
    assert done.loaded == 1
    assert bench.one("select price_usd from quotes where external_id = 'dear'").price_usd == 5000


class Binary(ScriptedConnector):
    """A source whose items are no text, and get understood later."""

    is_understood = False

    def parse(self, page):
        payload = page.body.strip(b"[]")
        yield Item("odd" if payload == ODD else None, payload)

    def normalise(self, item):
        if not self.is_understood:
            return Rejection(item.external_id, "*", "shape", "Nobody understands it.")
        return super().normalise(item._replace(payload=msgspec.json.encode(coin("odd"))))


@pytest.mark.parametrize("is_kept", [True, False])
def test_bytes_that_are_no_text_are_kept_as_they_came(settings, is_kept):
    source = Binary(pages=[ODD])
    with workbench(settings, source) as bench:
        bench.run()
        row = bench.one("select payload, payload_bytes from rejections")
        assert bytes(row.payload_bytes) == ODD
        assert row.payload == "\N{REPLACEMENT CHARACTER}" * 2
        if not is_kept:
            with bench.dependencies.transaction() as session:
                session.execute(text("delete from raw_pages"))
        source.is_understood = True
        (done,) = replay(bench)
        assert done.loaded == 1


def test_an_item_that_deviates_is_replayed_once_its_drift_is_accepted(settings):
    with workbench(
        ruled(settings, RecordRules(), "discard_row"), ScriptedMarkets([market("odd", 5, extra=1)])
    ) as bench:
        bench.run()
        (refused,) = replay(bench)
        assert refused.rejected == 1
        drift = bench.one("select drift_id, occurrences from schema_drift_logs")
        assert drift.occurrences == 1
        drifts.accept(bench.dependencies, drift.drift_id, actor=OPERATOR)
        (done,) = replay(bench)
        assert done.loaded == 1


def test_a_frozen_contract_keeps_what_does_not_fit_in_quarantine(settings, source):
    with workbench(ruled(settings, STRICT), source) as bench:
        source.pages = [[market("dear", 5000, extra=1)]]
        bench.run()
        mend(bench, ruled(settings, RecordRules(), "freeze"))
        (done,) = replay(bench)
        assert (done.loaded, done.rejected) == (0, 1)


def test_a_row_of_a_file_is_replayed_with_what_its_file_knows(settings, tmp_path):
    path = tmp_path / "csv" / "prices.csv"
    path.parent.mkdir()
    path.write_text(
        "symbol;name;price;date\nDEAR;Dear;5.000,25;31.12.2025\nOK;Okay;1,5;31.12.2025\n"
    )
    with workbench(ruled(settings, STRICT, name="csv"), CsvFiles()) as bench:
        bench.run("csv")
        assert bench.one("select rule from rejections").rule == "range"
        mend(bench, settings)
        (done,) = replay(bench)
        assert done.loaded == 1
        quote = bench.one("select * from quotes where symbol = 'DEAR'")
        assert quote.price_usd == Decimal("5000.25")


def test_discarded_items_stay_discarded_and_somebody_did_it(bench, settings):
    bench.run()
    assert len(quarantine.discard(bench.dependencies, EVERYTHING, actor=OPERATOR)) == 1
    assert quarantine.discard(bench.dependencies, EVERYTHING, actor=OPERATOR) == []
    bench.run()
    row = bench.one("select * from rejections")
    assert (row.state, row.occurrences) == ("discarded", 2)
    entry = bench.one("select * from audit_log")
    assert (entry.actor, entry.action, entry.request_id) == (
        "operator",
        "quarantine.discard",
        "request-7",
    )
    assert entry.detail == {"ids": [row.rejection_id]}
    mend(bench, settings)
    assert replay(bench) == []


def test_an_item_that_was_replayed_and_is_refused_again_is_open_again(bench, source, settings):
    bench.run()
    mend(bench, settings)
    replay(bench)
    source.pages = [[market("dear", 7, last_updated=LATER)]]
    bench.run()
    source.pages = [[BAD]]
    mend(bench, ruled(settings, STRICT))
    bench.run()
    assert bench.one("select state from rejections").state == "open"


def test_an_item_on_two_pages_of_a_batch_is_one_row_counted_twice(bench, source):
    source.pages = [[*COINS[:9], BAD], [*COINS[9:18], BAD]]
    bench.run()
    row = bench.one("select occurrences, page, item from rejections")
    assert (row.occurrences, row.page, row.item) == (2, 2, 9)
    bench.run()
    assert bench.one("select occurrences from rejections").occurrences == 4
