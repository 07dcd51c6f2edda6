"""``eval``: measures of the rules against labelled examples."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.cli.options import json_option

if TYPE_CHECKING:
    from tasks.pipeline.evaluation import Evaluation

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group
def evaluation() -> None:
    """Measure rules against labelled examples."""


@evaluation.command
@click.option("--pairs", type=_FILE, required=True, help="Labelled pairs of ids.")
@click.option("--left", type=_FILE, required=True, help="Every item of the first source.")
@click.option("--right", type=_FILE, required=True, help="Every item of the second source.")
@json_option
def identity(*, pairs: Path, left: Path, right: Path, as_json: bool) -> None:
    """Measure how well the items of two sources are linked.

    The resolver of the pipeline runs over LEFT and RIGHT; its links are compared with PAIRS.
    Only labelled pairs count.
    """
    from service.cli import output  # noqa: PLC0415 - --help needs none
    from tasks.pipeline.evaluation import evaluate  # noqa: PLC0415 - --help needs none

    report = evaluate(pairs, left, right)
    if as_json:
        output.emit(report)
    else:
        _show(report)


@evaluation.command
@json_option
def simulated(*, as_json: bool) -> None:
    """Measure the same against the simulator's ground truth: coins that nobody ever saw."""
    import tempfile  # noqa: PLC0415 - --help needs none

    from service.cli import output  # noqa: PLC0415 - --help needs none
    from tasks.pipeline.evaluation import evaluate  # noqa: PLC0415 - --help needs none
    from tasks.simulator import truth  # noqa: PLC0415 - --help needs none
    from tasks.simulator.simulator import Simulator  # noqa: PLC0415 - --help needs none

    with tempfile.TemporaryDirectory() as directory:
        truth.write_pairs(Simulator().market, Path(directory))
        report = evaluate(*(Path(directory) / f"{name}.csv" for name in ("pairs", "left", "right")))
    if as_json:
        output.emit(report)
    else:
        _show(report)


def _show(report: "Evaluation") -> None:
    from service.cli import output  # noqa: PLC0415 - --help needs none

    columns = ("subset", "same", "different", "precision", "recall", "unresolved", "another")
    output.show(
        columns,
        (
            (
                name,
                score.same,
                score.different,
                _percent(score.precision),
                _percent(score.recall),
                _percent(score.unresolved_share),
                _percent(score.another_share),
            )
            for name, score in report.scores.items()
        ),
    )
    for title, errors in (("Linked, but different", report.wrong), ("Missed", report.missed)):
        output.say(f"{title}: {len(errors)}")
        names = ("left", "left_name", "right", "right_name", "score", "linked_instead")
        output.show(names, ([_cell(error[name]) for name in names] for error in errors))


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.2f} %"


def _cell(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value
