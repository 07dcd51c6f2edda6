"""What was measured: figures with their spread, ratios, and the goals they are held against."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

K = TypeVar("K")


class Figure(NamedTuple):
    """The median of several measurements and how far they spread."""

    minimum: float
    median: float
    maximum: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        return cls(min(values), statistics.median(values), max(values), len(values))

    def members(self) -> dict[str, float]:
        return {
            "min": round(self.minimum, 4),
            "median": round(self.median, 4),
            "max": round(self.maximum, 4),
            "count": self.count,
        }


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A ratio that was wanted, and what it came to.

    Attributes:
        number: As the goals are numbered, ``I1``.
        work: What is compared, in a few words.
        ratio: Ours over theirs, made so that the goal reads naturally.
        at_least: The goal if more is better.
        at_most: The goal if less is better.
        unit: Behind the figure: ``×``, ``MB``, ``s``.
        detail: What stands behind the ratio.
    """

    number: str
    work: str
    ratio: Figure
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "×"
    detail: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def is_met(self) -> bool:
        if self.at_least is not None:
            return self.ratio.median >= self.at_least
        return self.at_most is None or self.ratio.median <= self.at_most

    @property
    def wanted(self) -> str:
        sign, bound = ("≥", self.at_least) if self.at_least is not None else ("≤", self.at_most)
        return "" if bound is None else f"{sign} {bound:g} {self.unit}".replace(" ×", "×")

    @property
    def shown(self) -> str:
        return f"{self.ratio.median:.3g} {self.unit}".replace(" ×", "×")

    @property
    def verdict(self) -> str:
        if self.at_least is None and self.at_most is None:
            return "–"
        return "met" if self.is_met else "not met"

    def members(self) -> dict[str, object]:
        return {
            "goal": self.number,
            "work": self.work,
            "wanted": self.wanted,
            "ratio": self.ratio.members(),
            "unit": self.unit,
            "verdict": self.verdict,
            "measured": {name: figure.members() for name, figure in self.detail.items()},
        }


def alternating(
    sides: Mapping[K, Callable[[], float]], *, repetitions: int
) -> dict[K, list[float]]:
    """Measure each side in turn, so that whatever else the machine does falls on all of them."""
    found: dict[K, list[float]] = {name: [] for name in sides}
    for number in range(repetitions):
        order = list(sides.items())
        for name, measure in order if number % 2 == 0 else reversed(order):
            found[name].append(measure())
    return found


def ratios(over: Sequence[float], under: Sequence[float]) -> Figure:
    """Return the ratio of two sides, pair by pair."""
    return Figure.of([a / b for a, b in zip(over, under, strict=True)])
