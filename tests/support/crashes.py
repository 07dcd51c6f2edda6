"""A worker process that something happens to in the middle of its work, and what comes after it."""

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tasks.core.failpoints import FailureInjection
from tasks.core.settings import Settings
from tasks.pipeline import sweeping
from tests.support.engine import ScriptedConnector, Workbench, workbench

ENDED = {"success", "partial", "failed", "skipped", "crashed", "cancelled"}
_POLL_S = 0.01
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["pytest", "tests.support.crashes"])

_CUT = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity
where datname = current_database() and application_name = :name and pid <> pg_backend_pid()
"""


class BigPages(ScriptedConnector):
    """Says that each page is a whole batch, so that a run has several."""

    def _page(self, items: Any, number: int) -> Any:
        return replace(super()._page(items, number), item_count=5000)


def failing(settings: Settings, **wanted: Any) -> Settings:
    """Return settings under which failures are injected."""
    return replace(settings, failures=FailureInjection(enabled=True, allowed=True, **wanted))


def run_in_process(
    settings: Settings, pages: Sequence[Any], blow: Callable[[], None] | None = None
) -> int | None:
    """Start a run and work on it in a process of its own; return how that ended.

    Args:
        settings: Say where the process fails, or is held.
        pages: Of the source.
        blow: What is done when the process is held for the first time; it then goes on.
    """
    process = _context.Process(target=_run, args=(settings, pages))
    process.start()
    while process.exitcode is None:
        if is_held(process.pid):
            if blow is not None:
                blow()
            blow = None
            let_go(process.pid)
        process.join(_POLL_S)
    return process.exitcode


def _run(settings: Settings, pages: Sequence[Any]) -> None:
    with workbench(settings, BigPages(pages=list(pages))) as bench:
        bench.run()


def is_held(pid: int) -> bool:
    """Tell whether a process stands still."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        command = ["ps", "-o", "stat=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, check=False).stdout.startswith(b"T")


def lives(pid: int) -> bool:
    """Tell whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def let_go(pid: int) -> None:
    """Let a process that is held go on."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def cut_database(bench: Workbench, application_name: str) -> None:
    """Cut every connection of a program to the bench's database, from the server's side."""
    assert bench.rows(_CUT, name=application_name)


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
        if run and run[0].status in ENDED:
            break
        let_time_pass(bench)
        sweeping.sweep(bench.dependencies)
        bench.drain()
    if not run or run[0].status in {"failed", "crashed"}:
        assert bench.status(bench.run()) in {"success", "partial"}
