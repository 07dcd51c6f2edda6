"""The results as a file for programs and a page for people."""

import json
from collections.abc import Sequence
from typing import Any

from tests.benchmarks.figures import Goal
from tests.support.processes import ROOT

RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"


def write(facts: dict[str, Any], goals: Sequence[Goal]) -> None:
    """Write both; of the page only what stands between its marks."""
    RESULTS.parent.mkdir(exist_ok=True)
    members = facts | {"goals": [goal.members() for goal in goals]}
    RESULTS.write_text(json.dumps(members, indent=2, ensure_ascii=False) + "\n")
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    PAGE.write_text(f"{before}{_BEGIN}\n\n{_measured(facts, goals)}\n{_END}{after}")


def table(goals: Sequence[Goal]) -> str:
    """Return the goals, the figures, and whether they were met, as lines of text."""
    return "\n".join(
        f"{goal.number:3} {goal.verdict:8} {goal.shown:>9}  (goal {goal.wanted})  {goal.work}"
        for goal in goals
    )


def _measured(facts: dict[str, Any], goals: Sequence[Goal]) -> str:
    lines = [_machine(facts), "", "| # | work | goal | median | min to max | runs | |"]
    lines.append("|---|---|---|---|---|---|---|")
    for goal in goals:
        ratio = goal.ratio
        spread = f"{ratio.minimum:.3g} to {ratio.maximum:.3g}"
        lines.append(
            f"| {goal.number} | {goal.work} | {goal.wanted} | {goal.shown} | {spread} |"
            f" {ratio.count} | {goal.verdict} |"
        )
    lines += ["", "What stands behind the ratios, medians:", "", "| # | work | |", "|---|---|---|"]
    for goal in goals:
        if goal.detail:
            behind = "; ".join(f"{name} {f.median:.4g}" for name, f in goal.detail.items())
            lines.append(f"| {goal.number} | {goal.work} | {behind} |")
    return "\n".join(lines) + "\n"


def _machine(facts: dict[str, Any]) -> str:
    peers = ", ".join(f"{name} {number}" for name, number in facts["peers"].items())
    own = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return (
        f"Measured on {facts['measured_on']}, revision `{facts['revision'][:12]}`, in"
        f" {facts['minutes']} minutes, on {facts['cores']} cores ({facts['processor']}),"
        f" {facts['memory_gb']} GB. Python {facts['python']}, PostgreSQL {facts['postgresql']} with"
        f" fsync {facts['fsync']}; {own}. Peers: {peers}. Load average at the start"
        f" {facts['load_average_at_start']}."
    )
