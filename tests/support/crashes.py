"""A worker process that is killed in the middle of its work, and what comes after it."""

import multiprocessing
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from tasks.core.failpoints import FailureInjection
from tasks.core.settings import Settings
from tasks.pipeline import sweeping
from tests.support.engine import ScriptedConnector, Workbench, workbench

_ENDED = {"success", "partial", "failed", "skipped", "crashed", "cancelled"}
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["pytest", "tests.support.crashes"])


class BigPages(ScriptedConnector):
    """Says that each page is a whole batch, so that a run has several."""

    def _page(self, items: Any, number: int) -> Any:
        return replace(super()._page(items, number), item_count=5000)


def failing(settings: Settings, **wanted: Any) -> Settings:
    """Return settings under which failures are injected."""
    return replace(settings, failures=FailureInjection(enabled=True, allowed=True, **wanted))


def run_in_process(settings: Settings, pages: Sequence[Any]) -> int | None:
    """Start a run and work on it in a process of its own; return how that ended."""
    process = _context.Process(target=_run, args=(settings, pages))
    process.start()
    process.join()
    return process.exitcode


def _run(settings: Settings, pages: Sequence[Any]) -> None:
    with workbench(settings, BigPages(pages=list(pages))) as bench:
        bench.run()


def let_time_pass(bench: Workbench) -> None:
    """Let the database's clock reach every deadline, by moving these back."""
    with bench.dependencies.transaction() as session:
        for table, columns in {
            "run_pages": ("wake_at", "lease_until"),
            "data_versions": ("changed_at",),
        }.items():
            changes = ", ".join(f"{name} = {name} - interval '1 hour'" for name in columns)
            session.execute(text(f"update {table} set {changes}"))  # noqa: S608


def recover(bench: Workbench) -> None:
    """Do what the sweeper and the next run do, until a run has brought everything."""
    for _ in range(20):
        run = bench.rows("select run_id, status from etl_runs order by queued_at desc limit 1")
        if run and run[0].status in _ENDED:
            break
        let_time_pass(bench)
        sweeping.sweep(bench.dependencies)
        bench.drain()
    if not run or run[0].status in {"failed", "crashed"}:
        assert bench.status(bench.run()) in {"success", "partial"}
