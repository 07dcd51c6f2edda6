"""A real worker over a simulated market, held at a failpoint while something is done to it."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import redis
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tasks import bootstrap
from tasks.core import failpoints
from tasks.core.settings import Settings
from tasks.pipeline import lifecycle, sweeping
from tests.support import crashes, processes
from tests.support.engine import ListPublisher, Workbench

_IDLE_S = 1.0
_LONGEST_S = 50.0


@dataclass
class Worker:
    """A worker of ours that can be killed and started again; its log goes on.

    Attributes:
        variables: Its environment.
        log: Where it writes.
        process: The running one's main process.
    """

    variables: Mapping[str, str]
    log: Path
    process: "subprocess.Popen[bytes]"
    _read: int = 0

    @classmethod
    @contextmanager
    def running(cls, variables: Mapping[str, str], log: Path) -> Iterator["Worker"]:
        worker = cls(variables, log, _start(variables, log))
        try:
            worker.wait_until_ready()
            yield worker
        finally:
            worker.kill()

    def wait_until_ready(self) -> None:
        processes.wait_until(
            lambda: b"ready." in self.log.read_bytes()[self._read :], timeout_s=50, what="a worker"
        )

    def kill(self) -> None:
        """End all its processes at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        """Kill it and start another one in its place."""
        self.kill()
        self._read = self.log.stat().st_size
        self.process = _start(self.variables, self.log)
        self.wait_until_ready()

    def injected(self) -> list[dict[str, object]]:
        """Return the failures that were injected since the last look."""
        with self.log.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        self._read += len(new)
        found = []
        for line in new.splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
        return [entry for entry in found if entry.get("event") == "failure_injected"]


def _start(variables: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    return processes.start(processes.worker_arguments(), variables, log)


@dataclass
class System:
    """The disturbed system: a worker, and what a test and a sweeper may do.

    Attributes:
        bench: Over its database; it sends real messages.
        worker: Does the work.
        broker: Its broker.
    """

    bench: Workbench
    worker: Worker
    broker: redis.Redis
    _seen: tuple[object, ...] = field(default=())
    _seen_at: float = 0.0

    def disturb(self, point: str, blow: Callable[["System", int], None]) -> None:
        """Start a run, strike when it comes by a failpoint for the first time, and let it end."""
        wanted: dict[str, object] = {"point": point, "type": failpoints.HOLD}
        if point == failpoints.AT_RECORD:
            wanted["at_record"] = 4
        run_id = self._start({"failure": wanted})
        struck: list[int] = []

        def strike(pid: int, of_run: str) -> None:
            if not struck and of_run == str(run_id):
                struck.append(pid)
                blow(self, pid)

        self._work(lambda: self._has_ended(run_id) and bool(struck), strike, what=point)
        if self.bench.status(run_id) in {"failed", "crashed"}:
            taken_up = self._start({})
            self._work(lambda: self._has_ended(taken_up), strike, what="the next run")

    def _start(self, options: Mapping[str, object]) -> UUID:
        dependencies = self.bench.dependencies
        with dependencies.transaction() as session:
            run_id = lifecycle.queue_run(
                dependencies, session, "coingecko", trigger="cli", options=options
            ).run_id
        lifecycle.announce(dependencies, [run_id])
        return run_id

    def _has_ended(self, run_id: UUID) -> bool:
        return self.bench.status(run_id) in crashes.ENDED

    def _work(
        self, is_over: Callable[[], bool], strike: Callable[[int, str], None], *, what: str
    ) -> None:
        """Let the worker work, release whatever is held, and sweep as beat would."""

        def look() -> bool:
            assert self.worker.process.poll() is None, "the worker has ended"
            for entry in self.worker.injected():
                self._release(int(str(entry["pid"])), str(entry["run_id"]), strike)
            self._sweep_when_idle()
            return is_over()

        processes.wait_until(look, timeout_s=_LONGEST_S, what=what)

    def _release(self, pid: int, run_id: str, strike: Callable[[int, str], None]) -> None:
        processes.wait_until(
            lambda: crashes.is_held(pid) or not crashes.lives(pid),
            timeout_s=5,
            what="it stands still",
        )
        strike(pid, run_id)
        crashes.let_go(pid)

    def _sweep_when_idle(self) -> None:
        """Sweep as beat would, with the deadlines moved up: when nothing has happened for long."""
        seen = tuple(self.bench.one("select max(event_id), count(*) from run_events"))
        now = time.monotonic()
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        elif now - self._seen_at > _IDLE_S:
            crashes.let_time_pass(self.bench)
            sweeping.sweep(self.bench.dependencies)
            self._seen_at = now


def cut_database(system: System, _pid: int) -> None:
    """The database ends the worker's connections."""
    crashes.cut_database(system.bench, "kasparro-worker")


def lose_database(system: System, pid: int) -> None:
    """The database lets nobody in until a worker has put its work off because of that."""
    url = system.bench.dependencies.engine.url
    admin = create_engine(
        url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    before = system.worker.log.read_bytes().count(b"stage_put_off")
    with admin.connect() as connection, ExitStack() as afterwards:
        let = f'alter database "{url.database}" allow_connections '
        afterwards.callback(connection.execute, text(let + "true"))
        connection.execute(text(let + "false"))
        cut_database(system, pid)
        crashes.let_go(pid)
        processes.wait_until(
            lambda: system.worker.log.read_bytes().count(b"stage_put_off") > before,
            timeout_s=30,
            what="the work is put off",
        )


def cut_broker(system: System, _pid: int) -> None:
    """The broker ends everybody's connections but the one that asks for it."""
    assert system.broker.client_kill_filter(_type="normal", skipme=True)


def kill_worker(system: System, _pid: int) -> None:
    """The whole worker is killed, and another one comes."""
    system.worker.restart()


def kill_child(_system: System, pid: int) -> None:
    """The process that works is killed; the worker makes another one."""
    os.kill(pid, signal.SIGKILL)


@contextmanager
def benches(calm: Settings, rough: Settings) -> Iterator[tuple[Workbench, Workbench]]:
    """Yield two engines: one works by itself at once, the other sends messages to a worker."""
    built = [bootstrap.build(settings, role="cli") for settings in (calm, rough)]
    quiet, loud = built
    publisher = ListPublisher()
    quiet = replace(quiet, publisher=publisher)
    yield (
        Workbench(quiet, publisher, dict(quiet.connectors)),
        Workbench(loud, publisher, dict(loud.connectors)),
    )
    for dependencies in built:
        dependencies.engine.dispose()
        dependencies.redis.close()
