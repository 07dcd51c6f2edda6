"""Our schedules in Celery's words: beat asks when a source is due next."""

from datetime import datetime
from typing import Any

from celery.schedules import BaseSchedule, schedstate

from tasks.core.schedules import Schedule


class Aligned(BaseSchedule):
    """Due at the slots of a :data:`tasks.core.schedules.Schedule`, not at "last time plus period".

    Two beats, or a beat that was restarted, therefore tick for the same slots.
    """

    def __init__(self, schedule: Schedule, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.schedule = schedule

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Tell whether a slot lies between the last tick and now, and how long to the next one."""
        now = self.now()
        due = self.schedule.previous(now) > last_run_at
        return schedstate(due, (self.schedule.following(now) - now).total_seconds())

    def remaining_estimate(self, _last_run_at: datetime) -> Any:
        """Return the time to the next slot."""
        now = self.now()
        return self.schedule.following(now) - now

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.schedule,))

    def __repr__(self) -> str:
        return f"<{self.schedule}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aligned) and other.schedule == self.schedule

    def __hash__(self) -> int:
        return hash(self.schedule)
