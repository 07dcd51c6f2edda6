"""``python -m tests.benchmarks``: measure everything and hold it against the goals."""

import argparse
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from tests.benchmarks import (
    ingest,
    machine,
    memory,
    peering,
    report,
    retention,
    scaling,
    serving,
    starting,
    waking,
)
from tests.benchmarks.figures import Goal
from tests.benchmarks.stand import Stand, say, stand

_BUSY_FROM = 1.0


def main() -> None:
    """Measure what is asked for; write the results only if that is everything, at full size."""
    options = _options()
    peering.install()
    busy = machine.load_average()
    if busy > _BUSY_FROM:
        say(f"The load average is {busy}: something else is running, and the figures will tell.")
    began_s = time.monotonic()
    with stand() as whole:
        facts = machine.describe(whole)
        goals = [goal for name in options.only for goal in _parts(options)[name](whole)]
    facts |= {
        "measured_on": f"{datetime.now(UTC):%Y-%m-%d}",
        "minutes": round((time.monotonic() - began_s) / 60, 1),
        "load_average_at_start": busy,
        "coins": options.coins,
    }
    say("\n" + report.table(goals))
    if len(options.only) == len(_parts(options)) and not options.quick:
        report.write(facts, goals)


def _parts(options: argparse.Namespace) -> dict[str, Callable[[Stand], Sequence[Goal]]]:
    quick, repetitions = options.quick, options.repetitions
    return {
        "starting": partial(starting.measure, repetitions=repetitions),
        "waking": partial(waking.measure, repetitions=2 * repetitions),
        "retention": partial(
            retention.measure, rows=20_000 if quick else 1_000_000, repetitions=repetitions
        ),
        "ingest": lambda whole: ingest.goals(
            *ingest.measure(whole, options.coins, repetitions=min(repetitions, options.runs))
        ),
        "scaling": partial(
            scaling.measure,
            coins=options.coins,
            history=options.history,
            repetitions=options.runs,
        ),
        "serving": partial(serving.measure, rows=10_000, repetitions=repetitions),
        "large": partial(
            serving.measure_large,
            rows=100_000 if quick else 1_000_000,
            repetitions=repetitions,
        ),
        "memory": partial(
            memory.measure,
            few=options.rows // 5,
            many=options.rows,
            answer=options.answer,
        ),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, one run, nothing written"
    )
    parser.add_argument("--coins", type=int, default=20_000, help="records of an ingest")
    parser.add_argument("--runs", type=int, default=2, help="repetitions of the ingest")
    parser.add_argument("--repetitions", type=int, default=5, help="of all else")
    parser.add_argument("--only", nargs="+", help="some parts, by name; nothing is written")
    parser.add_argument("--rows", type=int, default=250_000, help="rows of the CSV file")
    parser.add_argument("--history", type=int, default=1_000_000, help="rows of a long history")
    parser.add_argument("--answer", type=int, default=20_000, help="records of one vendor answer")
    options = parser.parse_args()
    if options.quick:
        options.repetitions = options.runs = 1
        options.coins, options.rows, options.answer = 5_000, 40_000, 5_000
        options.history = 50_000
    options.only = options.only or list(_parts(options))
    return options


if __name__ == "__main__":
    main()
