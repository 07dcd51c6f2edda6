"""CSV files through the whole engine, from the file to the tables."""

from pathlib import Path

import pytest

from tasks.sources.csv_file import CsvFiles
from tests.support.engine import workbench

pytestmark = pytest.mark.integration

HEADER = "symbol,name,price,date\n"


@pytest.fixture
def directory(tmp_path) -> Path:
    (tmp_path / "csv").mkdir()
    return tmp_path / "csv"


@pytest.fixture
def bench(settings):
    with workbench(settings, CsvFiles()) as bench:
        yield bench


def counts(bench, run_id):
    return bench.one(
        "select status, records_processed as processed, records_failed as failed,"
        " records_unchanged as unchanged from etl_runs where run_id = :id",
        id=run_id,
    )


def test_a_file_is_loaded_once_and_then_only_what_is_appended(bench, directory):
    path = directory / "prices.csv"
    path.write_text(HEADER + "".join(f"S{n},Coin {n},{n},2026-11-01\n" for n in range(7_000)))
    assert tuple(counts(bench, bench.run("csv"))) == ("success", 7_000, 0, 0)
    assert tuple(counts(bench, bench.run("csv"))) == ("success", 0, 0, 7_000)
    with path.open("a") as file:
        file.write("NEW,New Coin,5,2026-11-01\nS1,Coin 1,9,2026-11-02\n")
    assert tuple(counts(bench, bench.run("csv"))) == ("success", 2, 0, 7_000)
    prices = bench.rows("select symbol, price_usd from quotes where symbol in ('NEW', 'S1', 'S2')")
    assert {row.symbol: row.price_usd for row in prices} == {"NEW": 5, "S1": 9, "S2": 2}
    assert bench.one("select count(*) from quotes").count == 7_001
    assert (
        bench.one("select count(*) from quote_history where external_id = 's1/coin 1'").count == 2
    )


def test_another_order_of_columns_and_another_name_double_nothing(bench, directory):
    path = directory / "prices.csv"
    path.write_text(HEADER + "A,A Coin,1,2026-11-01\nB,B Coin,2,2026-11-01\n")
    bench.run("csv")
    path.write_text("date,price,name,symbol\n2026-11-02,3,A Coin,A\n2026-11-02,4,B Coin,B\n")
    assert tuple(counts(bench, bench.run("csv"))) == ("success", 2, 0, 0)
    path.rename(directory / "renamed.csv")
    assert counts(bench, bench.run("csv")).status == "success"
    assert tuple(counts(bench, bench.run("csv"))) == ("success", 0, 0, 2)
    quotes = bench.rows("select symbol, price_usd from quotes order by 1")
    assert [tuple(row) for row in quotes] == [("A", 3), ("B", 4)]
    assert bench.one("select count(*) from quote_history").count == 4
    assert bench.one("select count(*) from assets").count == 2


def test_a_broken_file_makes_the_run_partial_and_says_why(bench, directory):
    (directory / "good.csv").write_text(HEADER + "A,A Coin,1,2026-11-01\n")
    (directory / "broken.csv").symlink_to(directory / "gone")
    for _ in range(2):
        assert counts(bench, bench.run("csv")).status == "partial"
    (rejection,) = bench.rows("select rule, reason, occurrences from rejections")
    assert rejection.rule == "unavailable"
    assert "broken.csv" in rejection.reason
    assert rejection.occurrences == 2
    assert bench.one("select count(*) from quotes").count == 1


def test_rows_are_seen_in_the_raw_view(bench, directory):
    (directory / "prices.csv").write_text(HEADER + 'A,"A\nCoin",$1.50,2026-11-01\n')
    bench.run("csv")
    row = bench.one("select external_id, payload from raw_csv")
    assert row.external_id == "a/a coin"
    assert row.payload == {"symbol": "A", "name": "A\nCoin", "price": "$1.50", "date": "2026-11-01"}
