from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.domain import comparison
from tasks.domain.comparison import IncomparableRunsError, Priced, RunStats, compare_runs
from tasks.domain.contents import Contents
from tasks.domain.records import Item
from tasks.domain.runs import FINAL, RunStatus


def run(number=1, **changes):
    usual = {"source": "coingecko", "status": RunStatus.SUCCESS, "records": 500, "duration_s": 10.0}
    return RunStats(run_id=UUID(int=number), **(usual | changes))


def compare(before, after, *, crosses_network=True):
    return compare_runs(before, after, crosses_network=crosses_network)


def contents(*items):
    found = Contents()
    found.add(Item(item.get("id"), msgspec.json.encode(item)) for item in items)
    return found


figures = st.builds(
    run,
    status=st.sampled_from(sorted(FINAL)),
    records=st.none() | st.integers(0, 10**6),
    duration_s=st.none() | st.floats(0, 1e5),
)


def test_the_difference_is_the_second_run_less_the_first():
    found = compare(run(1), run(2, records=450, duration_s=15.0))
    assert (found.records_diff, found.duration_diff_seconds) == (-50, 5)
    assert (found.duration_change_percent, found.status_changed) == (50, False)
    assert (found.anomalies, found.not_compared) == ((), ())


@given(figures, figures)
def test_the_callers_order_is_kept(before, after):
    there, back = compare(before, after), compare(after, before)
    if there.records_diff is not None:
        assert there.records_diff == -back.records_diff


@given(figures)
def test_a_run_differs_from_itself_in_nothing(same):
    found = compare(same, same, crosses_network=False)
    assert not found.records_diff
    assert not found.duration_diff_seconds
    assert not found.duration_change_percent
    assert not found.status_changed
    assert all("Zero records" in text for text in found.anomalies)


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ({"records": 500}, {"records": 249}, "Large record count change: 500 → 249 (-50.2 %)."),
        ({"records": 500}, {"records": 751}, "Large record count change: 500 → 751 (+50.2 %)."),
        ({"records": 0}, {"records": 5000}, "Large record count change: 0 → 5000."),
        ({"duration_s": 10.0}, {"duration_s": 20.1}, "Duration doubled: 10.000 s → 20.100 s"),
        ({}, {"duration_s": 0.09}, "Suspiciously fast: 0.090 s"),
        ({}, {"status": RunStatus.FAILED}, "Status degradation: success → failed."),
        ({"status": RunStatus.PARTIAL}, {"status": RunStatus.CRASHED}, "Status degradation"),
        ({"records": 0}, {"records": 0}, "Zero records: the run ended success"),
    ],
)
def test_each_fixed_rule_speaks_up(before, after, text):
    (found,) = compare(run(1, **before), run(2, **after)).anomalies
    assert found.startswith(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"records": 500}, {"records": 250}),
        ({"records": 500}, {"records": 750}),
        ({"duration_s": 10.0}, {"duration_s": 20.0}),
        ({"duration_s": 0.0}, {"duration_s": 5.0}),
        ({}, {"duration_s": 0.1}),
        ({"status": RunStatus.FAILED}, {"status": RunStatus.SUCCESS}),
        ({}, {"status": RunStatus.CANCELLED}),
    ],
)
def test_a_difference_within_its_tolerance_breaks_no_rule(before, after):
    assert compare(run(1, **before), run(2, **after)).anomalies == ()


def test_a_file_may_be_read_in_no_time():
    assert compare(run(1), run(2, duration_s=0.01), crosses_network=False).anomalies == ()


def test_a_figure_that_one_run_does_not_report_is_named_and_not_compared():
    skipped = run(2, status=RunStatus.SKIPPED, records=None, duration_s=None)
    found = compare(run(1), skipped)
    assert found.not_compared == ("records", "duration")
    assert (found.records_diff, found.duration_diff_seconds) == (None, None)
    assert found.status_changed
    assert found.anomalies == ()


def test_runs_of_different_sources_cannot_be_compared():
    with pytest.raises(IncomparableRunsError, match="coinpaprika"):
        compare(run(1), run(2, source="coinpaprika"))


def test_rows_are_the_same_when_their_bytes_are():
    before = contents({"id": "a", "p": 1}, {"id": "b", "p": 1}, {"id": "c", "p": 1})
    after = contents({"id": "b", "p": 1}, {"id": "c", "p": 2}, {"id": "d", "p": 1}, {"p": 1})
    assert comparison.row_changes(before, after) == (1, 1, 1, 1)
    assert comparison.changed_items(before, after) == {"c"}
    assert comparison.row_changes(before, before) == (0, 0, 0, 3)


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 2)), st.data())
def test_every_row_of_both_runs_is_counted_once(before, data):
    after = data.draw(st.dictionaries(st.text(max_size=3), st.integers(0, 2)))
    was, now = (contents(*({"id": k, "v": v} for k, v in run.items())) for run in (before, after))
    found = comparison.row_changes(was, now)
    assert found.removed + found.changed + found.unchanged == len(before)
    assert found.added + found.changed + found.unchanged == len(after)


def test_top_movers_are_those_whose_price_moved_most():
    before = {str(n): Priced("x", Decimal(100)) for n in range(20)} | {
        "zero": Priced("z", Decimal())
    }
    after = {str(n): Priced("x", Decimal(100 + n * (-1) ** n)) for n in range(20)}
    after |= {"zero": Priced("z", Decimal(5)), "new": Priced("n", Decimal(5))}
    movers = comparison.top_movers(before, after)
    assert [mover.external_id for mover in movers] == [str(n) for n in range(19, 9, -1)]
    assert movers[0].change_percent == -19


def test_fields_that_come_go_or_change_their_type_are_schema_changes():
    before = contents({"id": "a", "gone": 1, "text": "1", "some": None, "x": 1.5})
    after = contents({"id": "a", "new": [], "text": 1, "some": True, "x": -2})
    assert comparison.schema_changes(before.shape, after.shape) == (
        ("gone", "removed", ("number",), ()),
        ("new", "added", (), ("array",)),
        ("text", "retyped", ("string",), ("number",)),
    )


def test_a_run_without_items_says_nothing_about_fields():
    assert comparison.schema_changes(contents().shape, contents({"id": "a"}).shape) == ()
