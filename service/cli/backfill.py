"""``backfill``: the past of a source, once its cost is known."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.entry import NOT_ALL_WELL
from service.cli.options import data_dir_option, json_option

if TYPE_CHECKING:
    from tasks.pipeline.backfilling import Plan
    from tasks.pipeline.dependencies import Dependencies

_DAY = click.DateTime(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])


@click.command
@click.argument("source")
@click.option("--from", "since", type=_DAY, required=True, help="Beginning, in UTC.")
@click.option("--to", "until", type=_DAY, help="End, in UTC; by default the beginning of today.")
@click.option("--coins", help="The source's own ids, with commas; by default all it has brought.")
@click.option("--yes", is_flag=True, help="Do not ask whether the calls may be spent.")
@click.option("--wait", is_flag=True, help="Stay until the run is over; exit 1 unless it succeeds.")
@data_dir_option
@json_option
def backfill(  # noqa: PLR0913 - one for each option
    *,
    source: str,
    since: datetime,
    until: datetime | None,
    coins: str | None,
    yes: bool,
    wait: bool,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Fetch a source's past into the history.

    Shows what it costs first. Latest prices and the source's live runs are not touched. A backfill
    that broke off goes on where it stopped when the same is asked for again.
    """
    from rich.console import Console  # noqa: PLC0415 - --help needs none of these

    from service.cli import connecting, output, run_progress, triggering  # noqa: PLC0415
    from tasks.pipeline import backfilling  # noqa: PLC0415

    with connecting.dependencies_of(data_dir) as dependencies:
        plan = backfilling.plan(
            dependencies,
            source,
            since=since.replace(tzinfo=UTC),
            until=_end(dependencies, until),
            coins=None if coins is None else _ids(coins),
        )
        output.say(_cost(dependencies, plan))
        if not yes:
            click.confirm("Spend the calls?", abort=True, err=True)
        run_id = backfilling.start(dependencies, plan)
        output.say(f"{source}: run {run_id} is queued.")
        if wait:
            run_progress.follow(dependencies, [run_id], Console(stderr=True))
        (row,) = triggering.rows(dependencies, [run_id])
    if as_json:
        output.emit(row._asdict() | {"calls": plan.calls})
    if wait and row.status != "success":
        sys.exit(NOT_ALL_WELL)


def _end(dependencies: "Dependencies", until: datetime | None) -> datetime:
    if until is not None:
        return until.replace(tzinfo=UTC)
    return dependencies.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)


def _ids(coins: str) -> list[str]:
    return [coin.strip() for coin in coins.split(",") if coin.strip()]


def _cost(dependencies: "Dependencies", plan: "Plan") -> str:
    """Say what a plan costs, and what the source still allows."""
    from service.observability import broker  # noqa: PLC0415 - --help needs none of it

    settings = dependencies.settings.sources[plan.source]
    states = broker.call_states(
        client=dependencies.redis, clock=dependencies.clock, sources={plan.source: settings}
    )
    lines = [f"{plan.calls} calls for {len(plan.coins)} coins, {plan.since:%F} to {plan.until:%F}."]
    if plan.resumes is not None:
        lines.append(f"Run {plan.resumes} broke off over the same; only what it left is asked for.")
    if settings.rate_per_minute:
        minutes = -(-plan.calls // settings.rate_per_minute)
        lines.append(f"At {settings.rate_per_minute} calls a minute that takes {minutes} min.")
    left = states[plan.source].remaining.get("month")
    if left is not None:
        lines.append(f"{left} calls are left this month.")
        if plan.calls > left:
            lines.append("They will be spent before the end, and live runs then have none either.")
    return "\n".join(lines)
