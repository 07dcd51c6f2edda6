"""Drift from the page to the log, and what operators decide about it."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from tasks.core.errors import ConflictError, NotFoundError
from tasks.pipeline import drifts
from tasks.sources.csv_file import CsvFiles
from tasks.store.audit import Actor
from tests.support.engine import ScriptedConnector, coin, workbench
from tests.support.markets import ScriptedMarkets, market, renamed

pytestmark = pytest.mark.integration

OPERATOR = Actor("operator", "request-1")
COINS = [market(f"coin-{n}", 100 + n) for n in range(30)]
LOG = "select * from schema_drift_logs order by drift_id"


def with_mode(settings, mode):
    source = replace(settings.sources["coingecko"], contract_mode=mode)
    return replace(settings, sources={**settings.sources, "coingecko": source})


@pytest.fixture
def source():
    return ScriptedMarkets(COINS)


@pytest.fixture
def bench(settings, source):
    with workbench(settings, source) as bench:
        yield bench


def prices(bench):
    rows = bench.rows("select external_id, price_usd from quotes")
    return {row.external_id: row.price_usd for row in rows}


def events_total(bench):
    rows = bench.rows(
        "select labels, value from metric_totals where name = 'schema_drift_events_total'"
    )
    return [(row.labels, row.value) for row in rows]


def changed(number, **fields):
    """The coins of another run: every one has a new price."""
    return [market(f"coin-{n}", number + n, **fields) for n in range(30)]


def test_documented_pages_leave_no_trace(bench, source):
    source.pages = [COINS, [market("tail", None, market_cap_rank=None)]]
    assert bench.status(bench.run()) == "success"
    assert bench.rows(LOG) == []


def test_a_renamed_price_is_loaded_whole_and_flagged_once(bench, source):
    bench.run()
    source.pages = [
        [renamed(item, "current_price", "currentPrice") for item in changed(200)],
        [renamed(market("last", 7.25), "current_price", "currentPrice")],
    ]
    run_id = bench.run()
    assert bench.status(run_id) == "success"
    assert prices(bench) == {f"coin-{n}": 200 + n for n in range(30)} | {"last": Decimal("7.25")}
    row = bench.one(LOG)
    assert (row.status, row.run_id, row.schema_name) == ("open", run_id, "coins_markets")
    assert row.fuzzy_matches == [
        {"expected": "current_price", "found": "currentPrice", "similarity_pct": 100.0}
    ]
    assert (row.missing_fields, row.extra_fields, row.confidence_score) == ([], [], 1)
    event = bench.one("select detail from run_events where event = 'drift_detected'")
    assert event.detail["drift_id"] == row.drift_id
    assert events_total(bench) == [({"source": "coingecko"}, 1)]


def test_the_same_drift_is_one_row_that_counts(bench, source):
    for number in (1, 2, 3):
        source.pages = [changed(number, odd=number)]
        bench.run()
    row = bench.one(LOG)
    assert (row.extra_fields, row.occurrences) == (["odd"], 3)


def test_a_page_that_shows_a_part_of_a_known_drift_counts_there(bench, source):
    source.pages = [changed(1, odd=1, strange=1)]
    bench.run()
    source.pages = [changed(2, strange=1)]
    bench.run()
    assert bench.one(LOG).occurrences == 2


def test_items_that_are_known_byte_by_byte_are_not_reported_again(bench, source):
    source.pages = [changed(1, odd=1)]
    bench.run()
    bench.run()
    assert bench.one(LOG).occurrences == 1


def test_an_accepted_rename_is_read_under_both_names_and_not_reported_again(bench, source):
    source.pages = [[renamed(item, "current_price", "currentPrice") for item in COINS]]
    bench.run()
    drift_id = bench.one(LOG).drift_id
    version = drifts.accept(bench.dependencies, drift_id, actor=OPERATOR)
    assert drifts.accept(bench.dependencies, drift_id, actor=OPERATOR) == version == 2
    source.pages = [[renamed(item, "current_price", "currentPrice") for item in changed(300)]]
    bench.run()
    assert prices(bench) == {f"coin-{n}": 300 + n for n in range(30)}
    source.pages = [changed(400)]
    bench.run()
    assert prices(bench)["coin-0"] == 400
    row = bench.one(LOG)
    assert (row.status, row.occurrences) == ("accepted", 1)
    kept = bench.rows("select version, accepted_by, drift_id from schema_shapes order by version")
    assert [tuple(shape) for shape in kept] == [
        (1, "the vendor's documentation", None),
        (2, "operator", drift_id),
    ]
    entry = bench.one("select * from audit_log")
    assert (entry.actor, entry.action, entry.subject, entry.request_id) == (
        "operator",
        "drift.accept",
        f"drift/{drift_id}",
        "request-1",
    )


def test_two_accepted_drifts_add_up(bench, source):
    for number, name in ((1, "odd"), (2, "strange")):
        source.pages = [changed(number, **{name: 1})]
        bench.run()
    for row in bench.rows(LOG):
        drifts.accept(bench.dependencies, row.drift_id, actor=OPERATOR)
    source.pages = [changed(3, odd=1, strange=2)]
    bench.run()
    assert len(bench.rows(LOG)) == 2


def test_a_muted_drift_counts_on_its_row_and_nowhere_else(bench, source):
    source.pages = [changed(1, odd=1)]
    bench.run()
    drift_id = bench.one(LOG).drift_id
    drifts.mute(bench.dependencies, drift_id, actor=OPERATOR)
    drifts.mute(bench.dependencies, drift_id, actor=OPERATOR)
    source.pages = [changed(2, odd=1)]
    bench.run()
    row = bench.one(LOG)
    assert (row.status, row.occurrences) == ("muted", 2)
    assert events_total(bench) == [({"source": "coingecko"}, 1)]
    assert bench.one("select count(*) as n from audit_log").n == 1


def test_what_is_accepted_cannot_be_muted_and_what_is_not_there_neither(bench, source):
    source.pages = [changed(1, odd=1)]
    bench.run()
    drift_id = bench.one(LOG).drift_id
    drifts.accept(bench.dependencies, drift_id, actor=OPERATOR)
    with pytest.raises(ConflictError, match="accepted"):
        drifts.mute(bench.dependencies, drift_id, actor=OPERATOR)
    with pytest.raises(NotFoundError, match="drift 999"):
        drifts.accept(bench.dependencies, 999, actor=OPERATOR)


def test_a_frozen_contract_fails_the_run_and_goes_on_once_the_drift_is_accepted(settings, source):
    with workbench(with_mode(settings, "freeze"), source) as bench:
        bench.run()
        source.pages = [changed(200, odd=1)]
        failed = bench.one("select * from etl_runs where run_id = :id", id=bench.run())
        assert (failed.status, failed.error_code) == ("failed", "FrozenShapeError")
        assert "odd is new" in failed.error_message
        assert prices(bench)["coin-0"] == 100
        row = bench.one(LOG)
        assert (row.status, row.run_id, row.occurrences) == ("open", failed.run_id, 1)
        drifts.accept(bench.dependencies, row.drift_id, actor=OPERATOR)
        source.pages = []  # whoever asks the source again fails
        resumed = bench.one("select * from etl_runs where run_id = :id", id=bench.run())
        assert (resumed.status, resumed.resumed_run_id) == ("success", failed.run_id)
        assert prices(bench)["coin-0"] == 200


def test_a_frozen_contract_says_nothing_about_how_often_a_field_is_null(settings, source):
    source.pages = [[market(f"coin-{n}", None) for n in range(30)]]
    with workbench(with_mode(settings, "freeze"), source) as bench:
        assert bench.status(bench.run()) == "success"
        assert list(bench.one(LOG).null_rate_changes) == ["current_price"]


def test_rows_that_deviate_are_discarded_into_quarantine(settings, source):
    source.pages = [[*changed(1), market("odd-coin", 5, odd=1)]]
    with workbench(with_mode(settings, "discard_row"), source) as bench:
        run = bench.one("select * from etl_runs where run_id = :id", id=bench.run())
        assert (run.status, run.records_processed, run.records_failed) == ("partial", 30, 1)
        bad = bench.one("select * from rejections")
        assert (bad.external_id, bad.rule, bad.field) == ("odd-coin", "drift", "odd")
        assert msgspec.json.decode(bad.payload)["odd"] == 1


def test_values_that_deviate_are_discarded_and_the_rows_loaded(settings, source):
    source.pages = [[*changed(1), market("odd-coin", {"usd": 5}, odd=1)]]
    with workbench(with_mode(settings, "discard_value"), source) as bench:
        assert bench.status(bench.run()) == "success"
        assert prices(bench)["odd-coin"] is None


def test_values_that_deviate_are_for_the_rules_to_judge_in_a_contract_that_evolves(bench, source):
    source.pages = [[*changed(1), market("odd-coin", {"usd": 5}), market("text", "12.50")]]
    run = bench.one("select * from etl_runs where run_id = :id", id=bench.run())
    assert (run.status, run.records_failed) == ("partial", 1)
    assert prices(bench)["text"] == Decimal("12.50")


def test_an_id_that_is_renamed_is_read_after_all(bench, source):
    source.pages = [[renamed(item, "id", "ID") for item in COINS]]
    assert bench.status(bench.run()) == "success"
    assert len(prices(bench)) == 30


class Undeclared(ScriptedConnector):
    """A source that nobody has described."""

    @property
    def spec(self):
        return replace(super().spec, schema_name=lambda _page: "things")


def test_a_source_that_declares_no_shape_is_compared_with_its_first_page(settings):
    source = Undeclared(pages=[[coin("alpha"), coin("beta")]])
    with workbench(settings, source) as bench:
        bench.run()
        assert bench.rows(LOG) == []
        source.pages = [[coin("alpha", "2", odd=1), coin("beta", "3")]]
        bench.run()
        row = bench.one(LOG)
        assert (row.schema_name, row.extra_fields) == ("things", ["odd"])
        drifts.accept(bench.dependencies, row.drift_id, actor=OPERATOR)
        source.pages = [[coin("alpha", "4", odd=1)]]
        bench.run()
        assert bench.one(LOG).occurrences == 1


def test_another_header_of_a_file_is_drift_and_its_rows_load_all_the_same(settings, tmp_path):
    path = tmp_path / "csv" / "prices.csv"
    path.parent.mkdir()
    with workbench(settings, CsvFiles()) as bench:
        path.write_text("symbol,name,price,date\nBTC,Bitcoin,1,2026-01-01\n")
        bench.run("csv")
        path.write_text("symbol,name,price_usd,date,note\nBTC,Bitcoin,2,2026-01-02,x\n,,,,,\n")
        assert bench.status(bench.run("csv")) in {"success", "partial"}
        row = bench.one(LOG)
        assert (row.source, row.schema_name, row.extra_fields) == ("csv", "prices.csv", ["note"])
        assert [match["found"] for match in row.fuzzy_matches] == ["price_usd"]
        assert list(prices(bench).values()) == [2]
