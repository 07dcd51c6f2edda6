"""``retry`` and ``replay``: runs that broke off, and what was brought, once more."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click

from service.cli.options import data_dir_option, json_option

if TYPE_CHECKING:
    from tasks.pipeline.dependencies import Dependencies
    from tasks.pipeline.retrying import Retried
    from tasks.store.audit import Actor

_TIME = click.DateTime(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])
_STATUSES = click.Choice(["failed", "crashed", "cancelled", "skipped"])


@click.command
@click.argument("run_ids", nargs=-1, type=click.UUID, metavar="[RUN]…")
@click.option("--source", help="Only runs of this source.")
@click.option(
    "--status",
    "statuses",
    type=_STATUSES,
    multiple=True,
    default=["failed", "crashed"],
    show_default=True,
    help="Only runs that ended so; may be given several times.",
)
@click.option("--since", type=_TIME, help="Only runs queued then or later, in UTC.")
@click.option("--until", type=_TIME, help="Only runs queued before, in UTC.")
@data_dir_option
@json_option
def retry(  # noqa: PLR0913 - one for each option
    *,
    run_ids: tuple[UUID, ...],
    source: str | None,
    statuses: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Try runs again that broke off, or those named.

    Each gets a child that begins at the first step that did not finish. A source has one active
    run, so of several of one source the newest gets it.
    """
    from service.cli import connecting, output  # noqa: PLC0415 - --help needs none of these
    from tasks.pipeline import retrying  # noqa: PLC0415
    from tasks.store.audit import Actor  # noqa: PLC0415

    actor = Actor("cli")
    with connecting.dependencies_of(data_dir) as dependencies:
        if run_ids:
            outcomes = [_retried(dependencies, run_id, actor) for run_id in run_ids]
        else:
            outcomes = retrying.retry_matching(
                dependencies,
                actor=actor,
                source=source,
                statuses=statuses,
                since=_utc(since),
                until=_utc(until),
            )
    for outcome in outcomes:
        output.say(_remark(outcome))
    if not outcomes:
        output.say("No run matches.")
    if as_json:
        output.emit([outcome._asdict() for outcome in outcomes])


@click.command
@click.argument("source")
@click.option("--from", "since", type=_TIME, required=True, help="Beginning, in UTC.")
@click.option("--to", "until", type=_TIME, required=True, help="End, in UTC.")
@data_dir_option
@json_option
def replay(*, source: str, since: datetime, until: datetime, data_dir: Path, as_json: bool) -> None:
    """Load again what a source has brought.

    What was stored in some time is read by today's rules, without one call. Nothing newer is
    replaced.
    """
    from service.cli import connecting, output, triggering  # noqa: PLC0415 - as in retry
    from tasks.pipeline import replaying  # noqa: PLC0415

    with connecting.dependencies_of(data_dir) as dependencies:
        run_id = replaying.replay_between(
            dependencies, source, since=since.replace(tzinfo=UTC), until=until.replace(tzinfo=UTC)
        )
        output.say(f"{source}: run {run_id} is queued.")
        (row,) = triggering.rows(dependencies, [run_id])
    if as_json:
        output.emit(row._asdict())


def _retried(dependencies: "Dependencies", run_id: UUID, actor: "Actor") -> "Retried":
    from service.cli import triggering  # noqa: PLC0415 - as in retry
    from tasks.pipeline import retrying  # noqa: PLC0415

    child = retrying.retry(dependencies, run_id, actor=actor)
    (row,) = triggering.rows(dependencies, [child])
    return retrying.Retried(run_id, row.source, child)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _remark(outcome: "Retried") -> str:
    if outcome.child_run_id is None:
        return f"{outcome.source}: run {outcome.run_id} is not tried again. {outcome.reason}"
    return f"{outcome.source}: run {outcome.child_run_id} is queued, a child of {outcome.run_id}."
