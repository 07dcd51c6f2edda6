"""Two runs side by side, down to their rows."""

from uuid import UUID

import pytest
from sqlalchemy import text

from tasks.core.errors import ConflictError, NotFoundError
from tasks.domain.comparison import IncomparableRunsError
from tasks.pipeline import comparison
from tests.support.engine import ScriptedConnector, coin, workbench

pytestmark = pytest.mark.integration


@pytest.fixture
def bench(settings):
    connectors = [ScriptedConnector("coingecko"), ScriptedConnector("coinpaprika")]
    with workbench(settings, *connectors) as bench:
        yield bench


def answer(bench, *pages, source="coingecko"):
    bench.connectors[source].pages = list(pages)
    return bench.run(source)


def compare(bench, before, after):
    return comparison.compare(bench.dependencies, before, after)


def test_runs_are_compared_row_by_row(bench):
    before = answer(bench, [coin("a", "1"), coin("b", "2")], [coin("c", "3"), coin("d", "4")])
    after = answer(bench, [coin("b", "2"), coin("c", "6")], [coin("d", "3"), coin("e", "5")])
    compared = compare(bench, before, after)
    assert (compared.before.run_id, compared.after.run_id) == (before, after)
    found = compared.comparison
    assert (found.source, found.records_diff, found.status_changed) == ("coingecko", 0, False)
    assert found.changes == (1, 1, 2, 1)
    assert [
        (m.external_id, m.price_before, m.price_after, m.change_percent) for m in found.top_movers
    ] == [("c", 3, 6, 100), ("d", 4, 3, -25)]
    assert found.schema_changes == ()


def test_a_run_that_found_nothing_new_has_as_many_records_as_the_one_before(bench):
    before, after = (answer(bench, [coin("a"), coin("b")]) for _ in range(2))
    found = compare(bench, before, after).comparison
    assert found.records_diff == 0
    assert found.changes == (0, 0, 0, 2)
    assert not any("record" in text for text in found.anomalies)


def test_a_run_differs_from_itself_in_nothing(bench):
    run_id = answer(bench, [coin("a"), coin("b")])
    found = compare(bench, run_id, run_id).comparison
    assert (found.records_diff, found.duration_diff_seconds) == (0, 0)
    assert found.changes == (0, 0, 0, 2)
    assert (found.top_movers, found.schema_changes) == ((), ())


def test_changed_fields_are_named(bench):
    before = answer(bench, [coin("a", tag="x")])
    after = answer(bench, [coin("a", currentPrice=1)])
    changes = compare(bench, before, after).comparison.schema_changes
    assert [(change.field, change.change) for change in changes] == [
        ("currentPrice", "added"),
        ("tag", "removed"),
    ]


def test_a_page_that_cannot_be_read_brought_nothing(bench):
    before = answer(bench, [coin("a")], [coin("b")])
    after = answer(bench, [coin("a")], b"<html>")
    found = compare(bench, before, after).comparison
    assert found.changes == (0, 1, 0, 1)
    assert any("Status degradation" in text for text in found.anomalies)


def test_rows_are_not_compared_when_answers_are_gone(bench):
    before, after = (answer(bench, [coin("a", price)]) for price in ("1", "2"))
    with bench.dependencies.transaction() as session:
        session.execute(text("delete from raw_pages where run_id = :id"), {"id": before})
    found = compare(bench, before, after).comparison
    assert found.changes is None
    assert found.records_diff == 0
    assert {"changes", "top_movers", "schema_changes"} <= set(found.not_compared)


def test_what_is_not_known_yet_is_said(bench):
    before, after = (answer(bench, [coin("a")]) for _ in range(2))
    assert "baseline of records_extracted: insufficient history" in (
        compare(bench, before, after).comparison.not_compared
    )


def test_what_cannot_be_compared_is_refused(bench):
    done = answer(bench, [coin("a")])
    other = answer(bench, [coin("a")], source="coinpaprika")
    active = bench.start()
    with pytest.raises(NotFoundError):
        compare(bench, done, UUID(int=0))
    with pytest.raises(IncomparableRunsError):
        compare(bench, done, other)
    for pair in ((done, active), (active, done)):
        with pytest.raises(ConflictError, match="not finished"):
            compare(bench, *pair)
