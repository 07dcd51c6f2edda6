"""What a figure of a source usually is, learned from its own runs.

Median and median absolute deviation, because one bad run among seven must not move them. The
spread has floors: a source that always brings exactly 500 items is not alarmed by the 501st.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, NamedTuple

MIN_POINTS = 7
LIMIT = 3.5
"""Robust standard deviations; the cut-off of Iglewicz and Hoaglin (1993)."""
_TO_SIGMA = 1.4826  # of the median absolute deviation, for normally distributed figures


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """How a figure may vary.

    Attributes:
        floor_share: The spread is at least this share of the median.
        floor: And at least so much.
        below: Whether a figure that is too low is remarkable, too.
        highest: The figure cannot be above.
    """

    floor_share: float = 0.0
    floor: float = 0.0
    below: bool = True
    highest: float | None = None


class Point(NamedTuple):
    """A figure of an earlier run; ``flagged`` when that run was found remarkable."""

    at: datetime
    value: float
    flagged: bool


class Baseline(NamedTuple):
    """What is expected: a figure from ``low`` to ``high``, as ``points`` runs say."""

    median: float
    spread: float
    low: float
    high: float
    points: int
    lowest: float

    def score(self, value: float) -> float:
        """Return by how many spreads a value is away from the median."""
        return (value - self.median) / self.spread


def learn(points: Sequence[Point], *, at: datetime, expectation: Expectation) -> Baseline | None:
    """Learn what a figure should be at the moment ``at``.

    Flagged runs are left out, unless the last seven all are: then that is how the source is now.
    Runs of the same hour of the same day of the week count alone once there are seven, else those
    of the same hour, else all.

    Args:
        points: Earlier runs, the newest first, without the one to be judged.
        at: When that one began.
        expectation: How the figure may vary.

    Returns:
        None when fewer than seven points are left: insufficient history.
    """
    usual = [point for point in points if not point.flagged]
    newest = points[:MIN_POINTS]
    if len(newest) == MIN_POINTS and all(point.flagged for point in newest):
        usual = list(newest)
    if len(usual) < MIN_POINTS:
        return None
    return _of([point.value for point in _bucket(usual, at)], expectation)


def _bucket(points: Sequence[Point], at: datetime) -> Sequence[Point]:
    keys: tuple[Callable[[datetime], Any], ...] = (
        lambda moment: (moment.weekday(), moment.hour),
        lambda moment: moment.hour,
    )
    for key in keys:
        alike = [point for point in points if key(point.at) == key(at)]
        if len(alike) >= MIN_POINTS:
            return alike
    return points


def _of(values: Sequence[float], expectation: Expectation) -> Baseline:
    middle = median(values)
    deviation = median(abs(value - middle) for value in values) * _TO_SIGMA
    spread = max(deviation, abs(middle) * expectation.floor_share, expectation.floor)
    high = middle + LIMIT * spread
    if expectation.highest is not None:
        high = min(high, expectation.highest)
    low = max(middle - LIMIT * spread, 0.0) if expectation.below else 0.0
    return Baseline(middle, spread, low, high, len(values), min(values))
