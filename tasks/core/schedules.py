"""When a source is due: every so many seconds, or by a five-field cron expression, in UTC.

Slots are aligned to the epoch (seconds) or to the minute (cron), so that two schedulers, a late
tick and a repeated one all name the same slot.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_HORIZON_DAYS = 366 * 4 + 1  # the longest gap of a cron expression: 29 February


@dataclass(frozen=True)
class Every:
    """A fixed period."""

    seconds: int

    def __str__(self) -> str:
        return str(self.seconds)

    def previous(self, moment: datetime) -> datetime:
        """Return the latest slot at or before ``moment``."""
        return _from_epoch(int(moment.timestamp()) // self.seconds * self.seconds)

    def following(self, moment: datetime) -> datetime:
        """Return the first slot after ``moment``."""
        return self.previous(moment) + timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class Cron:
    """A cron expression; when day of month and of week are both given, either may match."""

    expression: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def __str__(self) -> str:
        return self.expression

    def previous(self, moment: datetime) -> datetime:
        """Return the latest slot at or before ``moment``."""
        return self._seek(moment.replace(second=0, microsecond=0), step=-1)

    def following(self, moment: datetime) -> datetime:
        """Return the first slot after ``moment``."""
        return self._seek(moment.replace(second=0, microsecond=0) + timedelta(minutes=1), step=1)

    def _seek(self, moment: datetime, *, step: int) -> datetime:
        times = sorted((hour, minute) for hour in self.hours for minute in self.minutes)
        ordered = times if step > 0 else times[::-1]
        for offset in range(_HORIZON_DAYS):
            day = moment + timedelta(days=offset * step)
            if not self._on(day):
                continue
            for hour, minute in ordered:
                slot = day.replace(hour=hour, minute=minute)
                if (slot - moment) * step >= timedelta():
                    return slot
        raise AssertionError(f"{self.expression} passed validation but never comes")

    def _on(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_day or by_weekday if self.either_day else by_day and by_weekday


Schedule = Every | Cron


def parse_schedule(text: str) -> Schedule:
    """Read seconds (``"900"``) or cron (``"*/15 * * * *"``).

    Raises:
        ValueError: With a sentence for the operator.
    """
    text = " ".join(text.split())
    if text.isdecimal():
        if int(text) < 1:
            raise ValueError("a period must be at least 1 second")
        return Every(int(text))
    parts = text.split(" ")
    if len(parts) != len(_FIELDS):
        raise ValueError(f"{text!r} is neither seconds nor a cron expression of five fields")
    sets = [_parse_field(part, *rule) for part, rule in zip(parts, _FIELDS, strict=True)]
    weekdays = frozenset(day % 7 for day in sets[4])
    _refuse_impossible(text, days=sets[2], months=sets[3], any_day=parts[2] == "*")
    return Cron(
        text,
        minutes=sets[0],
        hours=sets[1],
        days=sets[2],
        months=sets[3],
        weekdays=weekdays,
        either_day="*" not in {parts[2], parts[4]},
    )


def _parse_field(text: str, name: str, low: int, high: int) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        try:
            start = low if span == "*" else int(first)
            # ``5/15`` means from 5 to the end; a lone ``5`` means 5.
            end = high if span == "*" or (step and not last) else int(last or first)
            stride = int(step or 1)
        except ValueError:
            raise ValueError(f"{part!r} is not a {name} of a cron expression") from None
        if not low <= start <= end <= high or stride < 1:
            raise ValueError(f"{part!r} is outside {low}-{high}, the {name} of a cron expression")
        values.update(range(start, end + 1, stride))
    return frozenset(values)


def _refuse_impossible(
    text: str, *, days: frozenset[int], months: frozenset[int], any_day: bool
) -> None:
    longest = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
    if not any_day and all(min(days) > longest.get(month, 31) for month in months):
        raise ValueError(f"{text!r} names a day that never comes")


def _from_epoch(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
