"""Which runs are remarkable, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from tasks.core.schedules import Schedule
from tasks.domain.baselines import Baseline, Expectation, Point, learn

# The floors stand for the ways in which healthy runs differ, however alike the last ones were.
# Volumes: listings and delistings. What is new: quiet hours. Durations: a busy machine, and budgets
# that make a run wait. What is expected reaches 3.5 of these to either side of the median.
EXPECTATIONS: Mapping[str, Expectation] = {
    "records_extracted": Expectation(floor_share=0.05, floor=1),
    "records_processed": Expectation(floor_share=0.15, floor=10),
    "duration_seconds": Expectation(floor_share=0.5, floor=2, below=False),
    "failed_share": Expectation(floor=0.01, below=False, highest=1),
    "unchanged_share": Expectation(floor=0.15, highest=1),
}
OF_ALL_ITEMS = frozenset({"records_extracted", "records_processed", "unchanged_share"})
"""Figures that compare only when each run brings everything the source has."""
OF_THE_INTERVAL = frozenset({"records_processed", "unchanged_share"})
"""Figures that compare only between runs at the schedule's distance from the one before."""
ROUND_TO = 50
_SHORT_BY = 0.99
_LATE_AFTER_PERIODS = 1.5


class Finding(NamedTuple):
    """What is remarkable about a run: ``figure`` is not from ``low`` to ``high``.

    Attributes:
        rule: Stable slug; ``unusual_<figure>`` for what was learned.
        score: Robust standard deviations from the median; None for a fixed rule.
        reason: A sentence for a person.
    """

    rule: str
    figure: str
    value: float
    low: float | None
    high: float | None
    score: float | None
    reason: str


class Key(NamedTuple):
    """What findings of one incident have in common, beside the source."""

    rule: str
    figure: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a completed run is judged by.

    Attributes:
        figures: By the names of :data:`EXPECTATIONS`.
        page_items: Items of each of its pages, in order.
        most_items: The operator's own limit on items.
        newest_at: Newest source timestamp among what the run changed; None if nothing.
        fresh_for_s: How old an observation may be, by the source's own timestamp.
        incremental: See :class:`tasks.sources.base.SourceSpec`.
        scheduled: Whether the schedule started it.
        observes_now: Whether the source tells what is, and not what was (files, news).
    """

    started_at: datetime
    finished_at: datetime
    figures: Mapping[str, float]
    page_items: Sequence[int]
    most_items: int | None
    newest_at: datetime | None
    fresh_for_s: int
    incremental: bool
    scheduled: bool
    observes_now: bool


@dataclass(kw_only=True)
class Judgement:
    """What came of judging a run.

    Attributes:
        findings: What is remarkable.
        judged: Every rule that could be applied, so that an incident of it can be over.
        baselines: What was expected, by figure.
        insufficient: How many runs there are so far, by figure, where they are too few.
    """

    findings: list[Finding] = field(default_factory=list)
    judged: set[Key] = field(default_factory=set)
    baselines: dict[str, Baseline] = field(default_factory=dict)
    insufficient: dict[str, int] = field(default_factory=dict)

    def add(self, key: Key, finding: Finding | None) -> None:
        """Note that a rule was applied, and what it found."""
        self.judged.add(key)
        if finding is not None:
            self.findings.append(finding)


def judge(facts: Facts, history: Mapping[str, Sequence[Point]]) -> Judgement:
    """Hold a completed run against its source's own history and the fixed rules.

    Args:
        facts: Of the run.
        history: Earlier runs by figure, the newest first, without the judged one.
    """
    judgement = Judgement()
    for figure, value in facts.figures.items():
        if _applies(figure, facts):
            _learned(judgement, facts, figure, value, history.get(figure, ()))
    if not facts.incremental:
        baseline = judgement.baselines.get("records_extracted")
        judgement.add(Key("zero_records", "records_extracted"), _zero(facts))
        judgement.add(Key("round_page_count", "records_extracted"), _round(facts, baseline))
    if facts.observes_now:
        judgement.add(Key("stale_data", "age_seconds"), _stale(facts))
    return judgement


def _applies(figure: str, facts: Facts) -> bool:
    if figure in OF_ALL_ITEMS and facts.incremental:
        return False
    return facts.scheduled or figure not in OF_THE_INTERVAL


def _learned(
    judgement: Judgement, facts: Facts, figure: str, value: float, points: Sequence[Point]
) -> None:
    expectation = EXPECTATIONS[figure]
    baseline = learn(points, at=facts.started_at, expectation=expectation)
    if baseline is None:
        judgement.insufficient[figure] = sum(not point.flagged for point in points)
        return
    judgement.baselines[figure] = baseline
    rule = f"unusual_{figure}"
    finding = None
    if not baseline.low <= value <= baseline.high:
        reason = (
            f"{figure} is {value:g}; the last {baseline.points} runs say "
            f"{baseline.low:g} to {baseline.high:g}."
        )
        score = round(baseline.score(value), 2)
        finding = Finding(rule, figure, value, baseline.low, baseline.high, score, reason)
    judgement.add(Key(rule, figure), finding)


def _zero(facts: Facts) -> Finding | None:
    if facts.figures["records_extracted"]:
        return None
    reason = "The run succeeded and brought nothing, though it asks for everything."
    return Finding("zero_records", "records_extracted", 0, 1, None, None, reason)


def _round(facts: Facts, baseline: Baseline | None) -> Finding | None:
    """Find a list that was cut off: full pages to the last, a round number, and fewer than ever."""
    count = facts.figures["records_extracted"]
    is_round = len(facts.page_items) > 1 and len(set(facts.page_items)) == 1
    if baseline is None or not is_round or count % ROUND_TO or count == facts.most_items:
        return None
    if count >= baseline.lowest or count > baseline.median * _SHORT_BY:
        return None
    reason = (
        f"All {len(facts.page_items)} pages are full and hold {count:g} items together; "
        f"the last {baseline.points} runs brought {baseline.lowest:g} and more. "
        "The source may have cut its list."
    )
    return Finding(
        "round_page_count", "records_extracted", count, baseline.lowest, None, None, reason
    )


def _stale(facts: Facts) -> Finding | None:
    """Find answers that are new to us but old by the source's own clock."""
    if facts.newest_at is None:
        return None
    age = (facts.finished_at - facts.newest_at).total_seconds()
    if age <= facts.fresh_for_s:
        return None
    reason = (
        f"The newest of what is new is {timedelta(seconds=round(age))} old by the source's own "
        "timestamp: it serves stale data as new."
    )
    return Finding("stale_data", "age_seconds", age, 0, facts.fresh_for_s, None, reason)


FRESHNESS = Key("freshness", "age_seconds")


def freshness(
    last_success_at: datetime, *, now: datetime, schedule: Schedule, fresh_for_s: int
) -> Finding | None:
    """Find a source that has not been brought up to date for too long.

    It may be as old as its observations count as fresh, and half a period late: whichever is
    longer, so that neither a slow schedule nor a short-lived price raises an alarm by itself.

    Args:
        last_success_at: When its last run completed.
        now: The moment.
        schedule: When its runs are due.
        fresh_for_s: How old an observation may be.
    """
    period = schedule.following(now) - schedule.previous(now)
    allowed = max(period.total_seconds() * _LATE_AFTER_PERIODS, fresh_for_s)
    age = (now - last_success_at).total_seconds()
    if age <= allowed:
        return None
    reason = f"No run has completed for {timedelta(seconds=round(age))}."
    return Finding(*FRESHNESS, age, 0, allowed, None, reason)
