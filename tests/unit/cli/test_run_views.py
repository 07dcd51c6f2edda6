import io
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from rich.console import Console

from service.cli import run_views
from service.cli.triggering import RunRow


@pytest.fixture
def row():
    def make(source: str = "csv", status: str = "running", **values) -> RunRow:
        facts = {
            "run_id": uuid4(),
            "source": source,
            "status": status,
            "trigger": "cli",
            "pages": 1,
            "pages_known": 3,
            "records_extracted": 5,
            "records_processed": 4,
            "records_unchanged": 0,
            "records_failed": 1,
            "duration_seconds": 1.25,
            "queued_at": datetime(2026, 1, 1, tzinfo=UTC),
            "finished_at": None,
            "error_message": None,
        }
        return RunRow(**(facts | values))

    return make


def _shown(rows_in_time, *, terminal: bool) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=100)
    with run_views.watching(console) as view:
        for rows in rows_in_time:
            view.update(rows)
    return text.getvalue()


def test_without_a_terminal_there_is_one_line_for_each_change(row):
    failed = row(status="failed", error_message="the file is gone")
    moments = [[row()], [row()], [row(pages=2)], [failed], [failed]]
    assert _shown(moments, terminal=False).splitlines() == [
        "csv: running",
        "csv: failed: 4 records, 0 unchanged, 1 rejected in 1.2 s (the file is gone)",
    ]


def test_on_a_terminal_the_table_shows_how_far_a_run_is(row):
    shown = _shown([[row()]], terminal=True)
    assert "1/3" in shown
    assert "running" in shown


def test_the_summary_tells_whether_all_succeeded(row):
    good = [row(source, "success") for source in ("csv", "rss")]
    assert run_views.summary(good) == "All runs succeeded (2 of 2)."
    mixed = [*good, row("coingecko", "failed")]
    assert run_views.summary(mixed) == "2 of 3 runs succeeded; coingecko failed."


def test_the_summary_says_where_an_unfinished_run_will_be_seen(row):
    assert "`kasparro runs`" in run_views.summary([row(status="running")])
