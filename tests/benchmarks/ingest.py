"""Ingest: from the vendor's pages to committed raw pages, quotes, history and consensus."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from tasks.pipeline import lifecycle
from tasks.pipeline.dependencies import Dependencies
from tests.benchmarks import bare_copy, peering, processor
from tests.benchmarks.figures import Figure, Goal, ratios
from tests.benchmarks.stand import Market, Stand, say

PHASES = ("cold", "changed", "unchanged")
_DLT = ("defaults", "best")
_GOALS = {
    ("I1", "defaults"): (8, 6, 25),
    ("I2", "best"): (3, 2.5, 12),
    ("I4", "loop"): (12, None, None),
}
_AGAINST = {
    "defaults": "dlt rest_api, defaults",
    "best": "dlt at its best (arrow, csv, upsert)",
    "loop": "pydantic and INSERT … ON CONFLICT by 100",
}


class Cost(NamedTuple):
    """One measured run: wall clock, and processor time of all who took part (PostgreSQL too)."""

    seconds: float
    processor_s: float


@dataclass
class Measured:
    """Costs by (side, phase), in order of measurement."""

    records: int
    costs: dict[tuple[str, str], list[Cost]] = field(default_factory=dict)

    def add(self, side: str, phase: str, cost: Cost) -> None:
        self.costs.setdefault((side, phase), []).append(cost)
        rate = self.records / cost.seconds
        per_record = cost.processor_s / self.records * 1e6
        say(f"  {side:9} {phase:9} {rate:8.0f} records/s {per_record:7.0f} µs/record")

    def rates(self, side: str, phase: str) -> list[float]:
        return [self.records / cost.seconds for cost in self.costs.get((side, phase), [])]

    def microseconds(self, side: str, phase: str) -> list[float]:
        costs = self.costs.get((side, phase), [])
        return [cost.processor_s / self.records * 1e6 for cost in costs]


class Ingest:
    """Our side: a worker that runs, and runs started as the command line starts them."""

    def __init__(self, stand: Stand, dependencies: Dependencies, worker: int) -> None:
        self.stand, self.dependencies, self.worker = stand, dependencies, worker

    def run(self, source: str = "coingecko", *, timeout_s: float = 600) -> Cost:
        """Start a run and wait for its end; seconds are from its acceptance to its last commit."""
        before = processor.used_s(self.worker, self.stand.postmaster)
        with self.dependencies.transaction() as session:
            run_id = lifecycle.queue_run(self.dependencies, session, source, trigger="cli").run_id
        lifecycle.announce(self.dependencies, [run_id])
        deadline = time.monotonic() + timeout_s
        sql = (
            "select status, error_message, extract(epoch from finished_at - queued_at)"
            " from etl_runs where run_id = :id"
        )
        while (row := self.stand.rows(sql, id=run_id)[0])[0] in {"queued", "running"}:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the run of {source} does not end")
            time.sleep(0.05)
        if row[0] not in {"success", "partial"}:
            raise RuntimeError(f"the run of {source} is {row[0]}: {row[1]}")
        used = processor.used_s(self.worker, self.stand.postmaster) - before
        return Cost(float(row[2]), used)


@contextmanager
def working(stand: Stand, market: Market, *, concurrency: int = 2) -> Iterator[Ingest]:
    """Yield our side with a worker that has run once, so that it is warm as a service is."""
    settings = stand.settings(market)
    dependencies = stand.dependencies(settings)
    with stand.worker(settings, concurrency=concurrency) as worker:
        yield Ingest(stand, dependencies, worker)
    dependencies.engine.dispose()


def verify(stand: Stand, market: Market, phase: str) -> None:
    """Look whether all of the market is in every table, with nothing twice.

    Raises:
        AssertionError: Naming the figure that is wrong.
    """
    count = market.coins
    run = stand.rows("select * from etl_runs order by queued_at desc limit 1")[0]
    unchanged = count if phase == "unchanged" else 0
    expected = {
        "quotes": count,
        "extracted": count,
        "unchanged": unchanged,
        "raw pages": run.pages,
        "left staged": 0,
        "without a published price": stand.value(
            "select count(*) from quotes where price_usd is null"
        ),
    }
    found = {
        "quotes": stand.value("select count(*) from quotes"),
        "extracted": run.records_extracted,
        "unchanged": run.records_unchanged,
        "raw pages": stand.value("select count(*) from raw_pages where run_id = :r", r=run.run_id),
        "left staged": stand.value("select count(*) from staged_quotes"),
        "without a published price": stand.value(
            "select count(*) from quotes q join assets a using (asset_id) where a.price_usd is null"
        ),
    }
    if found != expected:
        raise AssertionError(f"after {phase}: {found} instead of {expected}")
    _verify_digits(stand)


def _verify_digits(stand: Stand) -> None:
    """Compare the price of some quotes with the digits in the raw page."""
    rows = stand.rows(
        "with r as materialized ("  # each page is taken apart once, not for each quote
        " select run_id, external_id, payload ->> 'current_price' as sent from raw_coingecko)"
        " select q.price_usd, r.sent from quotes q join r using (run_id, external_id)"
        " where q.price_usd is not null order by q.external_id limit 20"
    )
    wrong = [row for row in rows if row.price_usd != Decimal(row.sent)]
    if wrong:
        raise AssertionError(f"digits were lost: {wrong}")


def measure(
    stand: Stand, coins: int, *, repetitions: int, with_peers: bool = True
) -> tuple[Measured, list[float]]:
    """Measure cold, all changed and unchanged, on every side, alternating.

    Returns:
        The costs, and the processor microseconds a record of bare COPY for each repetition.
    """
    measured, bare = Measured(coins), []
    with stand.market(coins) as market, working(stand, market) as ours:
        ours.run()
        for repetition in range(repetitions):
            say(f" ingest, repetition {repetition + 1} of {repetitions}")
            stand.empty()
            shutil.rmtree(stand.directory / "dlt", ignore_errors=True)
            _drop_peers(stand)
            for phase in PHASES:
                if phase == "changed":
                    market.advance()
                sides = ["ours", *(_DLT if with_peers else ())]
                if with_peers and phase == "cold":
                    sides.append("loop")
                for side in sides if repetition % 2 == 0 else reversed(sides):
                    measured.add(side, phase, _run(stand, market, ours, side))
                    if side == "ours":
                        verify(stand, market, phase)
                if phase == "cold":
                    bare.append(bare_copy.measure(stand, coins))
    return measured, bare


def _run(stand: Stand, market: Market, ours: Ingest, side: str) -> Cost:
    stand.rows("checkpoint")
    if side == "ours":
        return ours.run()
    before = processor.used_s(stand.postmaster)
    url, pages = market.base_url, str(market.pages)
    if side == "loop":
        address = stand.database_url
        said = peering.run("row_loop.py", url, address, pages, cwd=stand.directory)
        table = "loop_unified"
    else:
        address = stand.plain_url
        said = peering.run("dlt_ingest.py", side, url, address, pages, cwd=stand.directory)
        table = f"dlt_{side}.coins"
    if stand.value(f"select count(*) from {table}") != market.coins:
        raise AssertionError(f"{side} did not load everything")
    used = said["processor_s"] + processor.used_s(stand.postmaster) - before
    return Cost(said["seconds"], used)


def _drop_peers(stand: Stand) -> None:
    schemas = stand.rows("select nspname from pg_namespace where nspname like 'dlt_%'")
    for (name,) in schemas:
        stand.rows(f'drop schema "{name}" cascade')
    stand.rows("drop table if exists loop_raw, loop_unified")


def goals(measured: Measured, bare: list[float]) -> list[Goal]:
    """Return what the measurements say about I1 to I4."""
    found = []
    for (number, side), wanted in _GOALS.items():
        for phase, at_least in zip(PHASES, wanted, strict=True):
            theirs = measured.rates(side, phase)
            if at_least is None or not theirs:
                continue
            ours = measured.rates("ours", phase)
            found.append(
                Goal(
                    number=number,
                    work=f"{measured.records:,} records, {phase}, against {_AGAINST[side]}",
                    ratio=ratios(ours, theirs),
                    at_least=at_least,
                    detail={
                        "ours, records/s": Figure.of(ours),
                        "theirs, records/s": Figure.of(theirs),
                    },
                )
            )
    ours = measured.microseconds("ours", "cold")
    for name, phase, bound in (("cold", "cold", 2), ("all changed", "changed", 2)):
        ours = measured.microseconds("ours", phase)
        found.append(
            Goal(
                number="I3",
                work=f"processor time a record, {name}, against bare COPY of the same rows",
                ratio=ratios(ours, bare),
                at_most=bound,
                detail={"ours, µs": Figure.of(ours), "COPY, µs": Figure.of(bare)},
            )
        )
    return found
