"""CSV files as they change between runs."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.errors import PermanentError
from tasks.domain.records import Rejection
from tasks.sources import csv_files
from tasks.sources.base import Page
from tasks.sources.csv_file import CsvFiles
from tests.support.clocks import FakeClock
from tests.support.fetching import context_of, outcomes_of, pages_of, records_of, settings_of

CSV = CsvFiles()
HEADER = "symbol,name,price,date\n"
DAY = "2026-11-01"
OLD = 1_790_000_000


class Desk:
    """A directory of files, and runs that go on from the last one's checkpoint."""

    def __init__(self, path, clock=None):
        self.path = path
        self.clock = clock or FakeClock().clock()
        self.checkpoint = {}

    def write(self, text, name="prices.csv", *, encoding="utf-8"):
        (self.path / name).write_bytes(text.encode(encoding))

    def append(self, text, name="prices.csv"):
        with (self.path / name).open("a") as file:
            file.write(text)

    def run(self):
        context = context_of(
            settings_of("csv", path=str(self.path)), self.clock, checkpoint=self.checkpoint
        )
        pages = list(pages_of(CSV, context))
        self.checkpoint = pages[-1].checkpoint
        return pages

    def prices(self):
        return [(quote.symbol, str(quote.price_usd)) for quote in records_of(CSV, self.run())]


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def row(symbol, price):
    return f"{symbol},{symbol} Coin,{price},{DAY}\n"


def unchanged(pages):
    return sum(page.unchanged_count for page in pages)


def test_an_unchanged_file_is_not_read_again(desk):
    desk.write(HEADER + row("A", 1) + row("B", 2))
    assert desk.prices() == [("A", "1"), ("B", "2")]
    pages = desk.run()
    assert [page.body for page in pages] == [b""]
    assert unchanged(pages) == 2


def test_a_file_with_the_same_size_and_times_is_not_even_opened(desk):
    desk.write(HEADER + row("A", 1))
    os.utime(desk.path / "prices.csv", (OLD, OLD))
    desk.run()
    (state,) = desk.checkpoint["files"].values()
    assert state["stamp"]
    desk.checkpoint["files"]["prices.csv"]["crc"] = 0  # would be found if it were opened
    assert unchanged(desk.run()) == 1


def test_of_an_appended_file_only_the_new_rows_are_read(desk):
    desk.write(HEADER + row("A", 1))
    desk.run()
    desk.append(row("B", 2))
    pages = desk.run()
    assert [quote.symbol for quote in records_of(CSV, pages)] == ["B"]
    assert unchanged(pages) == 1


@pytest.mark.parametrize(
    "text",
    [
        HEADER + row("A", 7) + row("B", 2),
        HEADER + row("A", 7),
        "price,date,name,symbol\n" + f"7,{DAY},A Coin,A\n" + f"2,{DAY},B Coin,B\n",
        HEADER + row("A", 7) + row("B", 2) + row("C", 3),
    ],
    ids=["rewritten", "shrunk", "header order changed", "rewritten and grown"],
)
def test_a_file_with_another_content_is_read_anew_and_only_once(desk, text):
    desk.write(HEADER + row("A", 1) + row("B", 2))
    desk.run()
    desk.write(text)
    pages = desk.run()
    found = records_of(CSV, pages)
    assert (found[0].symbol, found[0].name, str(found[0].price_usd)) == ("A", "A Coin", "7")
    assert len(found) == text.count("\n") - 1
    assert unchanged(pages) == 0
    assert desk.prices() == []


def test_a_renamed_file_is_read_once_under_its_new_name(desk):
    desk.write(HEADER + row("A", 1))
    desk.run()
    (desk.path / "prices.csv").rename(desk.path / "renamed.csv")
    assert desk.prices() == [("A", "1")]
    assert desk.prices() == []
    assert set(desk.checkpoint["files"]) == {"renamed.csv"}


def test_a_touched_file_is_compared_and_not_read_again(desk):
    desk.write(HEADER + row("A", 1))
    desk.run()
    os.utime(desk.path / "prices.csv", (OLD, OLD))
    assert unchanged(desk.run()) == 1


def test_a_file_put_together_from_two_exports_is_read_right(desk):
    desk.write(HEADER + row("A", 1) + f"price,symbol,name,date\n2,B,B Coin,{DAY}\n")
    assert desk.prices() == [("A", "1"), ("B", "2")]
    desk.append(f"3,C,C Coin,{DAY}\n")
    assert desk.prices() == [("C", "3")]


def test_a_line_that_is_still_being_written_waits_for_its_end(tmp_path):
    fake = FakeClock()
    clock = fake.clock()
    path = tmp_path / "prices.csv"

    def someone_goes_on_writing(seconds):
        fake.slept.append(seconds)
        with path.open("a") as file:
            file.write("0")

    desk = Desk(tmp_path, replace(clock, sleep=someone_goes_on_writing))
    desk.write(HEADER + row("A", 1) + "B,B Coin,2")
    assert desk.prices() == [("A", "1")]
    assert fake.slept
    desk.append(f"0,{DAY}\n")
    assert desk.prices() == [("B", "200")]


def test_a_last_line_without_its_end_is_read_when_the_file_is_quiet_and_again_when_it_grows(desk):
    desk.write(HEADER + row("A", 1) + f"B,B Coin,2,{DAY}")
    assert desk.prices() == [("A", "1"), ("B", "2")]
    os.utime(desk.path / "prices.csv", (OLD, OLD))
    desk.run()
    assert unchanged(desk.run()) == 2
    desk.append("T10:00\n" + row("C", 3))
    assert desk.prices() == [("B", "2"), ("C", "3")]


def test_half_a_header_is_not_kept_as_the_header(desk):
    desk.write("symbol,name,pri")
    assert desk.prices() == []
    desk.append("ce,date\n" + row("A", 1))
    assert desk.prices() == [("A", "1")]


def test_files_are_read_in_order_of_name_and_others_are_left_alone(desk):
    desk.write(HEADER + row("B", 2), "b.CSV")
    desk.write("symbol\tname\tprice\tdate\n" + row("A", 1).replace(",", "\t"), "a.tsv")
    desk.write(HEADER + row("X", 9), "README.txt")
    desk.write(HEADER + row("X", 9), ".half-copied.csv")
    desk.write("", "empty.csv")
    assert desk.prices() == [("A", "1"), ("B", "2")]
    assert unchanged(desk.run()) == 2


def test_one_file_that_cannot_be_read_does_not_keep_the_others_from_loading(desk):
    (desk.path / "broken.csv").symlink_to(desk.path / "gone")
    desk.write(HEADER + row("A", 1), "good.csv")
    outcomes = outcomes_of(CSV, desk.run())
    (rejection,) = (found for found in outcomes if isinstance(found, Rejection))
    assert rejection.rule == "unavailable"
    assert "broken.csv cannot be read" in rejection.reason
    assert [found.symbol for found in outcomes if not isinstance(found, Rejection)] == ["A"]
    assert set(desk.checkpoint["files"]) == {"good.csv"}


def test_a_source_without_a_readable_file_says_which_setting_to_look_at(desk):
    with pytest.raises(PermanentError, match=r"CSV_PATH: the directory .* holds no \.csv"):
        desk.run()
    (desk.path / "broken.csv").symlink_to(desk.path / "gone")
    with pytest.raises(PermanentError, match=r"CSV_PATH: no file can be read.*broken\.csv"):
        desk.run()
    with pytest.raises(PermanentError, match="CSV_PATH: '/no/such/place' does not exist"):
        Desk("/no/such/place").run()


def test_a_single_file_may_have_any_name(desk):
    desk.write(HEADER + row("A", 1), "prices.txt")
    assert Desk(desk.path / "prices.txt").prices() == [("A", "1")]


@pytest.fixture
def large(desk):
    rows = (f'S{number},"Coin\n{number}",{number},{DAY}\n' for number in range(12_000))
    desk.write(HEADER + "".join(rows))
    return desk


def test_a_large_file_comes_in_pages_that_can_be_read_alone(large):
    pages = large.run()
    assert [page.item_count for page in pages] == [5_000, 5_000, 2_000]
    assert b"".join(page.body for page in pages) == (large.path / "prices.csv").read_bytes()
    alone = [quote.symbol for page in reversed(pages) for quote in records_of(CSV, [page])]
    assert sorted(alone) == sorted(f"S{number}" for number in range(12_000))


def test_a_broken_off_run_goes_on_behind_its_last_page(large):
    context = context_of(settings_of("csv", path=str(large.path)), large.clock)
    first = CSV.fetch(context, None)
    rest = list(pages_of(CSV, context, first.next_cursor))
    assert [page.item_count for page in rest] == [5_000, 2_000]


def test_a_file_replaced_in_the_middle_of_a_run_is_begun_anew(large):
    context = context_of(settings_of("csv", path=str(large.path)), large.clock)
    first = CSV.fetch(context, None)
    large.write(HEADER + row("NEW", 1))
    rest = list(pages_of(CSV, context, first.next_cursor))
    assert [quote.symbol for quote in records_of(CSV, rest)] == ["NEW"]


def test_a_full_refresh_reads_everything_again(desk):
    desk.write(HEADER + row("A", 1))
    desk.run()
    desk.checkpoint = {}
    assert desk.prices() == [("A", "1")]


def test_rows_of_a_file_without_dates_are_as_old_as_the_file(desk):
    desk.write("symbol,price\nA,1\n")
    os.utime(desk.path / "prices.csv", (OLD, OLD))
    (quote,) = records_of(CSV, desk.run())
    assert quote.observed_at.timestamp() == OLD


def test_the_order_of_day_and_month_may_be_proven_by_a_later_part_of_the_file(desk):
    desk.write(HEADER + "A,A Coin,1,05/01/2026\n")
    (rejection,) = outcomes_of(CSV, desk.run())
    assert rejection.rule == "date"
    desk.append("A,A Coin,2,05/02/2026\nA,A Coin,3,05/13/2026\n")
    assert [quote.observed_at.month for quote in records_of(CSV, desk.run())] == [5, 5]
    desk.append("A,A Coin,4,06/01/2026\n")
    assert [quote.observed_at.month for quote in records_of(CSV, desk.run())] == [6]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "windows-1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_file_may_be_written_in_many_ways(desk, encoding, delimiter):
    text = HEADER + f"A,Ärzte Coin,1.5,{DAY}\n" + f'B,"Two\nLines",2.5,{DAY}'
    desk.write(text.replace(",", delimiter).replace("\n", "\r\n"), encoding=encoding)
    found = records_of(CSV, desk.run())
    assert [(quote.name, str(quote.price_usd)) for quote in found] == [
        ("Ärzte Coin", "1.5"),
        ("Two Lines", "2.5"),
    ]


def test_one_spoilt_line_spoils_no_other(desk):
    path = desk.path / "prices.csv"
    path.write_bytes(f"{HEADER}A,Ünit,1,{DAY}\n".encode() + f"B,Écu,2,{DAY}\n".encode("cp1252"))
    assert [quote.name for quote in records_of(CSV, desk.run())] == ["Ünit", "Écu"]


def test_the_id_is_the_files_own_or_made_of_symbol_and_name(desk):
    desk.write("coin_id,ticker,name,price\norb-orbit,ORB,Orbit,1\n,ORB, Orbit ,2\n,ORB,,3\n")
    found = records_of(CSV, desk.run())
    assert [quote.external_id for quote in found] == ["orb-orbit", "orb/orbit", "orb/orb"]


def test_the_percentage_is_preferred_to_the_change_in_dollars(desk):
    desk.write("symbol,price,price_change_24h,price_change_percentage_24h\nA,32797,-1068.5,-3.15\n")
    (quote,) = records_of(CSV, desk.run())
    assert str(quote.percent_change_24h) == "-3.15"


@pytest.mark.parametrize(
    ("text", "field", "rule"),
    [
        ("symbol,name\nA,A Coin\n", "price", "required"),
        ("price,date\n1,2026-11-01\n", "symbol", "required"),
        ("symbol,price,currency\nA,1,EUR\n", "currency", "unit"),
        ("currency,price\nUSD,1\n", "currency", "unit"),
        ("symbol,price,rank\nA,1,1.5\n", "rank", "type"),
        ("symbol,price\nA,1,234.50\n", "*", "shape"),
        ('symbol,price\n"A,1\n', "*", "shape"),
        ("name,price\nBitcoin1BTC,1\n", "name", "shape"),
    ],
)
def test_a_row_that_cannot_be_a_quote_says_why(desk, text, field, rule):
    desk.write(text)
    (rejection,) = outcomes_of(CSV, desk.run())
    assert (rejection.field, rejection.rule) == (field, rule)


def test_the_sample_that_comes_with_the_repository_is_read():
    sample = Path(__file__).parents[2] / "data" / "csv"
    outcomes = outcomes_of(CSV, Desk(sample).run())
    assert [found.symbol for found in outcomes] == ["SMPL1", "SMPL2", "SMPL3"]


def test_an_item_can_be_read_without_its_page(desk):
    desk.write(HEADER + row("A", 1))
    (page,) = desk.run()
    (item,) = CSV.parse(page)
    assert CSV.normalise(item._replace(context={})).symbol == "A"


@given(st.lists(st.integers(0, 200), max_size=6), st.sampled_from(["utf-8", "utf-16-le"]))
@settings(max_examples=60, deadline=None)
def test_however_a_file_grows_every_row_is_read(tmp_path_factory, ends, encoding):
    desk = Desk(tmp_path_factory.mktemp("growing"))
    text = HEADER + "".join(f'S{n},"Coin\n{n}",{n},{DAY}\n' for n in range(5))
    whole = text.encode(encoding)
    seen = []
    for end in [*sorted(ends), len(whole)]:
        (desk.path / "prices.csv").write_bytes(whole[: end - end % 2])
        if end - end % 2:
            seen += [quote.symbol for quote in records_of(CSV, desk.run())]
    desk.run()
    (desk.path / "prices.csv").write_bytes(whole)
    seen += [quote.symbol for quote in records_of(CSV, desk.run())]
    assert {f"S{n}" for n in range(5)} <= set(seen)
    assert unchanged(desk.run()) == 5


def test_reading_a_million_bytes_holds_no_more_than_a_page(large):
    for page in large.run():
        assert len(page.body) <= csv_files.PAGE_BYTES + 1_000


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_any_bytes_are_rows_or_nothing(body):
    page = Page(request="x", body=body, media_type="text/csv", checkpoint={})
    for outcome in outcomes_of(CSV, [page]):
        assert outcome.external_id is None or outcome.external_id
