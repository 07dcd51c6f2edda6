"""Where the time goes: ``python -m tests.benchmarks.profiling [COINS]`` prints tables for the page.

The stages run in this process, one after another, so that what each costs can be told apart.
"""

import cProfile
import pstats
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import event

from service.app import create_app
from tasks.core import processes
from tasks.pipeline import extraction, lifecycle, loading, transformation
from tasks.pipeline.dependencies import Dependencies
from tests.benchmarks import processor, serving
from tests.benchmarks.stand import Stand, say, stand
from tests.support.engine import ListPublisher

_USE_CASES = {
    "fetch": extraction.fetch,
    "transform": transformation.transform,
    "load": loading.load,
}
_REQUESTS = 300


class Spent:
    """Seconds of the wall clock by statement."""

    def __init__(self) -> None:
        self.by_statement: Counter[str] = Counter()

    def listen(self, engine: Any) -> None:
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)

    def _before(self, *arguments: Any) -> None:
        arguments[4].began_s = time.perf_counter()

    def _after(self, *arguments: Any) -> None:
        took = time.perf_counter() - arguments[4].began_s
        self.by_statement[" ".join(arguments[2].split())[:70]] += took


def ingest(whole: Stand, coins: int) -> None:
    """Print the cost of each stage and of the dearest statements, microseconds a record."""
    with whole.market(coins) as market:
        publisher = ListPublisher()
        dependencies = whole.dependencies(whole.settings(market))
        dependencies = replace(dependencies, publisher=publisher)
        spent = Spent()
        spent.listen(dependencies.engine)
        for phase in ("cold", "all changed", "all changed again", "unchanged"):
            if phase.startswith("all changed"):
                market.advance()
            spent.by_statement.clear()
            with _server_time(whole) as server:
                stages = _run(dependencies, publisher)
            shown = {name: round(s / coins * 1e6, 1) for name, s in stages.items()}
            say(f"{phase}: Python {shown}, PostgreSQL {server[0] / coins * 1e6:.1f} µs a record")
            for statement, seconds in spent.by_statement.most_common(8):
                say(f"  {seconds / coins * 1e6:6.1f}  {statement}")


@contextmanager
def _server_time(whole: Stand) -> Iterator[list[float]]:
    found, before = [0.0], processor.used_s(whole.postmaster)
    yield found
    found[0] = processor.used_s(whole.postmaster) - before


def _run(dependencies: Dependencies, publisher: ListPublisher) -> Counter[str]:
    with dependencies.transaction() as session:
        run = lifecycle.queue_run(dependencies, session, "coingecko", trigger="cli")
    lifecycle.announce(dependencies, [run.run_id])
    used: Counter[str] = Counter()
    while publisher.messages:
        message = publisher.messages.pop(0)
        before = time.process_time()
        _USE_CASES[message.stage](dependencies, message.run_id, message.page)
        used[str(message.stage)] += time.process_time() - before
    return used


def answers(whole: Stand) -> None:
    """Print the dearest functions of ``GET /data``, each time another answer."""
    serving.fill(whole, 10_000)
    app = create_app(whole.dependencies(whole.settings(None)))
    client = app.test_client()
    client.get("/data?limit=50")
    profile = cProfile.Profile()
    profile.enable()
    for number in range(_REQUESTS):
        client.get("/data?limit=50", headers={"Accept": f"application/json, x-n/{number}"})
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(12)
    app.extensions["kasparro"].close()


def main(coins: int) -> None:
    """Print both."""
    processes.spare_the_collector()  # as a worker does
    with stand() as whole:
        ingest(whole, coins)
        whole.empty()
        answers(whole)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
