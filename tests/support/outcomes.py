"""What a run leaves behind, to be held against what an undisturbed one does."""

from tests.support.engine import Workbench

TABLES = {
    "quotes": "select source, external_id, symbol, name, price_usd, observed_at, digest::text, use",
    "quote_history": "select source, external_id, observed_at, price_usd",
    "assets": "select wire_id, slug_id, ticker, name, price_usd, source, sources_used",
    "asset_links": "select source, external_id, method, confidence, status",
    "rejections": "select source, external_id, field, rule, reason, payload, state, occurrences",
    "etl_checkpoints": "select source, checkpoint",
    "staged_quotes": "select external_id",
}


def tables(bench: Workbench) -> dict[str, list[str]]:
    """Return what the tables hold, but for ids, times and who wrote it."""
    return {
        name: sorted(map(str, bench.rows(f"{columns} from {name}")))
        for name, columns in TABLES.items()
    }


def check_history(bench: Workbench) -> None:
    """Each run ended, counts what its pages hold, and began whatever it finished."""
    rows = bench.rows(
        """
        select coalesce(r.resumed_run_id, r.run_id) as first, e.stage, e.page,
          count(*) filter (where e.event like '%\\_started') as started,
          count(*) filter (where e.event like '%\\_finished') as finished
        from run_events e join etl_runs r using (run_id)
        where e.stage is not null group by 1, 2, 3
        """
    )
    assert all(row.started >= row.finished for row in rows)
    runs = bench.rows("select * from etl_runs order by queued_at")
    for run in runs:
        assert run.finished_at is not None
        pages = bench.one(
            "select count(*) as n, coalesce(sum(records), 0) as records, sum(rejected) as rejected "
            "from run_pages where run_id = :id and state = 'loaded'",
            id=run.run_id,
        )
        if run.status in {"success", "partial"} and run.resumed_run_id is None:
            assert (run.pages, run.records_processed) == (pages.n, pages.records)
            assert run.records_failed == pages.rejected
    assert runs[-1].status == ("partial" if runs[-1].records_failed else "success")


def check(bench: Workbench, expected: dict[str, list[str]]) -> None:
    """The tables hold what an undisturbed run leaves, and the history of runs is honest."""
    found = tables(bench)
    for name, rows in expected.items():
        assert found[name] == rows, name
    check_history(bench)
